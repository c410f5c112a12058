"""One set of contract tests, for the stand-in of each version and for real servers.

FORGEJO_LIVE_URL (one or more URLs, comma-separated) names servers on which things may be made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import requests

from tests.conftest import VERSIONS
from tests.live.forgejo import RealForgejo
from tests.live.report import tell
from tests.live.scenes import Scene, perform
from tests.live.server import PRIVATE, Server
from tests.live.stand_in import StandIn
from tests.support import Proxy, start_proxy

URLS = [url.strip() for url in os.environ.get("FORGEJO_LIVE_URL", "").split(",") if url.strip()]
HOW = "set FORGEJO_LIVE_URL, FORGEJO_LIVE_ADMIN_USER and FORGEJO_LIVE_ADMIN_PASSWORD to run the live tests"
REAL = [pytest.param(url, marks=pytest.mark.live, id=f"live-{url}") for url in URLS] or [
    pytest.param("", marks=[pytest.mark.live, pytest.mark.skip(reason=HOW)], id="live")
]


@dataclass(frozen=True, repr=False)
class Stage:
    """A server with a proxy before it, and the runs that were played there."""

    server: Server
    proxy: Proxy
    scenes: dict[str, Scene]

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.server.major

    def request(
        self, method: str, path: str, role: str | None = "reader", repo: str = PRIVATE, **kwargs: object
    ) -> requests.Response:
        """A request through the proxy as one of the people; `path` follows `…/actions/runs/`."""
        headers = {"Authorization": f"token {self.server.tokens[role]}"} if role else {}
        url = f"{self.proxy.url}/api/v1/repos/{self.server.repo(repo)}/actions/runs/{path}"
        return requests.request(method, url, headers=headers, timeout=30, **kwargs)  # type: ignore[arg-type]

    def of(self, scene: str, path: str, role: str | None = "reader", method: str = "GET") -> requests.Response:
        """A request for what follows the number of a scene's run."""
        return self.request(method, f"{self.scenes[scene].number}/{path}", role)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that are marked live need a real server; the others are for all."""
    if "stage" in metafunc.fixturenames:
        only_real = metafunc.definition.get_closest_marker("live") is not None
        metafunc.parametrize("stage", [*([] if only_real else VERSIONS), *REAL], indirect=True, scope="session")


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A server on which every scene has been played."""
    with closing(_server(request.param)) as server, start_proxy(server.url, admin=server.admin) as proxy:
        yield Stage(server, proxy, perform(server))


def _server(name: str) -> Server:
    if name in VERSIONS:
        return StandIn(name)
    return RealForgejo(name, (os.environ["FORGEJO_LIVE_ADMIN_USER"], os.environ["FORGEJO_LIVE_ADMIN_PASSWORD"]))


@pytest.fixture(autouse=True)
def _told(request: pytest.FixtureRequest) -> None:
    """Each test's report carries the server that it was for."""
    if "stage" in request.fixturenames:
        server = request.getfixturevalue("stage").server
        kind = "stand-in" if isinstance(server, StandIn) else "live"
        request.node.user_properties.append(("server", f"{server.version} ({kind})"))


pytest_terminal_summary = tell
