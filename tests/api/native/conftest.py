"""Stand-ins of the versions whose API tells a run's id, each behind a proxy for which {x} is an id, and real clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyfj
import pytest
import requests

from tests.double import Double
from tests.support import client, contract
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample

EVERY = ("v12", "v13", "v14", "v15", "v16", "v17")
# FORGEJO_VERSIONS=all tests them all.
VERSIONS = EVERY if os.environ.get("FORGEJO_VERSIONS") == "all" else ("v12", "v15", "v16", "v17")
# Where the answers come from differs most between these. A real client runs on all versions.
few_versions = pytest.mark.parametrize("by_id", ["v12", "v15", "v16"], indirect=True)
# Far from run numbers and from each other, so that no id is taken for another kind of id or for a number.
FIRST_RUN, FIRST_JOB = 1000, 50_000


@dataclass(frozen=True)
class ById:
    """One stand-in with the proxy before it."""

    double: Double
    proxy: Proxy

    @property
    def version(self) -> str:
        """The version's name."""
        return self.double.version

    @property
    def number(self) -> int:
        """The major version."""
        return self.double.world.version.number

    @property
    def world(self) -> Any:
        """The stand-in's world."""
        return self.double.world

    def client(self, token: str | None) -> pyfj.Forgejo:
        """A real client of Forgejo's API, which reads answers into its own types."""
        return pyfj.Forgejo(self.proxy.url, token=token)

    def ask(self, method: str, path: str, token: str | None = None, **kwargs: Any) -> requests.Response:
        """A request below /api/v1/repos/ through the proxy."""
        headers = {"Authorization": f"token {token}"} if token else {}
        headers |= kwargs.pop("headers", {})
        target = f"/api/v1/repos/{path}"
        answer = client.request(method, f"{self.proxy.url}{target}", headers=headers, timeout=30, **kwargs)
        contract.check(method, target, answer, "native")
        return answer


@pytest.fixture(scope="session", params=VERSIONS)
def by_id(request: pytest.FixtureRequest) -> Iterator[ById]:
    with Double(version=request.param) as double:
        double.world.next_id |= {"run": FIRST_RUN, "job": FIRST_JOB}
        admin = double.world.admin
        with start_proxy(double.url, (admin.name, admin.password), {"actions_collisions": "native"}) as proxy:
            yield ById(double, proxy)


@pytest.fixture
def native_demo(by_id: ById, unique: str) -> Sample:
    """A repository with runs of each kind, for one test."""
    return sample(by_id.world, unique)
