"""The wings of `addon/` and who may know whom: every import is held to the tables below.

There is no import upwards, no circle, and each third-party package is used only where the table allows it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from addon import ROOT

ADDON = ROOT / "addon"
WINGS = ("forgejo", "actions", "api", "proxy", "check", "command")
# Of its own wing and of the ground every module may import everything. `entry.py` is what mitmproxy loads.
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "ground": (),
    "forgejo": (),
    "actions": ("addon.forgejo",),
    "api": ("addon.actions", "addon.forgejo.versions"),
    "proxy": ("addon.api.routes", "addon.api.native.paths", "addon.api.about.openapi", "addon.forgejo.versions"),
    "check": ("addon",),
    "command": ("addon",),
    "entry": ("addon.proxy.addon",),
}
# The composition root knows what it puts together.
ALSO: Mapping[str, tuple[str, ...]] = {"addon.api.composition": ("addon.forgejo",)}
# Where each third-party package may be imported: modules, or packages with all of their modules.
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "requests": ("addon.forgejo.transport",),
    "urllib3": ("addon.forgejo.transport",),
    "parsel": ("addon.forgejo.parsers",),
    "ijson": ("addon.forgejo.parsers",),
    "werkzeug": ("addon.api",),
    "waitress": ("addon.api.server",),
    "_typeshed": ("addon.api.app", "addon.api.request", "addon.api.responses"),
    "jinja2": ("addon.api.about.reference",),
    "markupsafe": ("addon.api.about.reference",),
    "prometheus_client": ("addon.api.about.metrics",),
    "yaml": ("addon.api.about.openapi", "addon.proxy.option_file"),
    "mitmproxy": ("addon.proxy", "addon.check.machine"),
    "packaging": ("addon.check.machine",),
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in ADDON.rglob("*.py")}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere, also inside functions and for type checking."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def wing(module: str) -> str:
    second = module.partition(".")[2].partition(".")[0]
    if second == "entry":
        return "entry"
    return second if second in WINGS else "ground"


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_the_table_allows(module: str) -> None:
    allowed = MAY_IMPORT[wing(module)] + ALSO.get(module, ())
    for found in imports(MODULES[module]):
        if found.split(".")[0] == "addon":
            assert wing(found) in ("ground", wing(module)) or within(found, allowed), f"{module} imports {found}"
        elif found.split(".")[0] not in sys.stdlib_module_names:
            assert within(module, PACKAGES.get(found.split(".")[0], ())), f"{module} imports {found}"


def test_there_is_no_circle() -> None:
    graph = {module: {found for found in imports(path) if found in MODULES} for module, path in MODULES.items()}
    graph["addon"] = set()
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_no_rule_is_left_over() -> None:
    """A place in a table that nothing needs any more would allow what nobody has thought about."""
    used = {module: set(imports(path)) for module, path in MODULES.items()}
    for package, places in PACKAGES.items():
        for place in places:
            assert any(
                within(module, (place,)) and any(each.split(".")[0] == package for each in found)
                for module, found in used.items()
            ), f"{place} does not import {package}"


def test_files_and_folders_stay_small() -> None:
    for path in MODULES.values():
        assert len(path.read_text().splitlines()) <= 260, f"{path} is long: it may be two ideas"
    for folder in {path.parent for path in MODULES.values()}:
        assert sum(each.is_file() for each in folder.iterdir()) <= 14, f"{folder} is full"
