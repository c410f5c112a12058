"""A stand-in Forgejo of each version behind a real mitmdump, started once for all tests of that version."""

from __future__ import annotations

import gc
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.double import Double
from tests.double.case import Case
from tests.double.versions import NEWEST
from tests.support import client, contract
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample

# The versions under test. To keep the suite fast, a test that needs a proxy runs on MAIN: the oldest and the newest.
# FORGEJO_VERSIONS=all runs it on all. What changed between is for the mark `more_versions` (also the last one before the
# list of runs, the first with attempts, and one whose reruns need the session) and for `every_version`.
VERSIONS = ("v7", "v11", "v12", "v13", "v14", "v15", "v16", "v17")
MAIN = VERSIONS if os.environ.get("FORGEJO_VERSIONS") == "all" else ("v7", NEWEST)
MORE = sorted({*MAIN, "v11", "v13", "v15"}, key=VERSIONS.index)
every_version = pytest.mark.parametrize("target", VERSIONS, indirect=True)
_numbers = itertools.count(1)
gc.disable()  # while the tests are loaded


@dataclass(frozen=True)
class Target:
    """One stand-in with the proxy before it. What it answers is held to the API's description."""

    version: str
    double: Double
    proxy: Proxy

    @property
    def number(self) -> int:
        """The major version."""
        return int(self.version[1:])

    @property
    def world(self) -> Any:
        """The stand-in's world, to prepare runs in."""
        return self.double.world

    def request(self, method: str, path: str, token: str | None = None, **kwargs: Any) -> requests.Response:
        """A request through the proxy, with the caller's token."""
        headers: Mapping[str, str] = {"Authorization": f"token {token}"} if token else {}
        headers = {**headers, **kwargs.pop("headers", {})}
        response = client.request(method, self.proxy.url + path, headers=headers, timeout=20, **kwargs)
        contract.check(method, path, response)
        return response


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The stand-in of one version behind a real mitmdump; tests make repositories of their own in it."""
    with Double(version=request.param) as double:
        admin = double.world.admin
        with start_proxy(double.url, admin=(admin.name, admin.password)) as proxy:
            yield Target(request.param, double, proxy)


@pytest.fixture
def unique() -> str:
    """A name that no other test uses, on whatever worker."""
    return f"{os.environ.get('PYTEST_XDIST_WORKER', 'w')}-{next(_numbers)}"


@pytest.fixture
def demo(target: Target, unique: str) -> Sample:
    """A repository with runs of each kind, for one test."""
    return sample(target.world, unique)


@pytest.fixture(params=VERSIONS)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """A stand-in of each version, for tests of the stand-in itself."""
    with Double(request.param) as double:
        yield Case(double)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that name no version run on MAIN, or with their mark on MORE."""
    named = any(re.search(r"\btarget\b", str(mark.args[0])) for mark in metafunc.definition.iter_markers("parametrize"))
    if "target" in metafunc.fixturenames and not named:
        versions = MORE if metafunc.definition.get_closest_marker("more_versions") else MAIN
        metafunc.parametrize("target", versions, indirect=True, scope="session")


# Fixtures with a proxy of their own, started once for all tests of a version or of a file.
SHARED = ("target", "by_id", "stage", "native", "direct", "wire", "web", "watched", "pair", "printed", "merging")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a proxy stay on one worker."""
    for item in items:
        assert isinstance(item, pytest.Function)
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        for fixture in SHARED:
            value = parameters.get(fixture, item.module.__name__)
            # A table's column may be called so too.
            if fixture in item.fixturenames and (fixture not in parameters or value in VERSIONS):
                item.add_marker(pytest.mark.xdist_group(f"{fixture}-{value}"))
                break


def pytest_collection_finish() -> None:
    """What is loaded now stays, so the garbage collector needn't look at it again."""
    gc.freeze()
    gc.enable()
