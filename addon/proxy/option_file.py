"""Checks mitm.yaml before mitmproxy reads it, which would ignore some mistakes and show others as a traceback."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from addon import settings


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice. YAML's own rule, which yaml.safe_load ignores: the last one would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Like SafeLoader's. Raises ValueError."""
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key)
            if name in seen:
                raise ValueError(
                    f"mitm.yaml has {name} twice, the second at line {key.start_mark.line + 1}; keep one of them"
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def load(text: str) -> Mapping[str, Any]:
    """The file's keys and values. Raises ValueError with the mistake."""
    try:
        found = yaml.load(text, _UniqueKeys)  # noqa: S506 (it is a SafeLoader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise ValueError(f"mitm.yaml is no YAML{line}; write `name: value` lines, as in the one delivered") from None
    if not isinstance(found, dict):
        raise ValueError("mitm.yaml holds no options; write `name: value` lines, as in the one delivered")
    return found


def check(given: Mapping[str, Any]) -> None:
    """Raises ValueError for an option of the extension that is misspelt, no text or invalid, and for a refused one."""
    if message := settings.unknown(given) or settings.refused(given):
        raise ValueError(message)
    own = {name: given.get(name, default) for name, (default, _) in settings.OPTIONS.items()}
    for name, value in own.items():
        if not isinstance(value, str):
            text = str(value).lower() if isinstance(value, bool) else value
            raise ValueError(f'{name} is {text} without quotes; write {name}: "{text}"')
    settings.parse(["reverse:http://127.0.0.1"], own)
