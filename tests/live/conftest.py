"""One set of contract tests, for the stand-in of each version and for real servers.

FORGEJO_LIVE_URL (one or more URLs, comma-separated) names servers on which things may be made and are removed again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.conftest import MAIN, VERSIONS
from tests.live.forgejo import RealForgejo
from tests.live.report import tell
from tests.live.scenes import Scene, perform
from tests.live.server import PRIVATE, Server
from tests.live.stand_in import StandIn
from tests.support import client
from tests.support.proxy import Proxy, start_proxy

VARIABLES = ("FORGEJO_LIVE_URL", "FORGEJO_LIVE_ADMIN_USER", "FORGEJO_LIVE_ADMIN_PASSWORD")
URLS, *ADMIN = (os.environ.get(name, "") for name in VARIABLES)
HOW = f"to run the live tests: {'=… '.join(VARIABLES)}=… ./run.sh test --live"
REAL = [url.strip() for url in URLS.split(",") if url.strip()] if all(ADMIN) else []
LIVE = [pytest.param(url, marks=pytest.mark.live, id=url) for url in REAL]
NO_LIVE = [pytest.param("none", marks=[pytest.mark.live, pytest.mark.skip(reason=HOW)], id="none")]


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
        return client.request(method, url, headers=headers, timeout=30, **kwargs)

    def of(self, scene: str, path: str, role: str | None = "reader", method: str = "GET") -> requests.Response:
        """A request for what follows the number of a scene's run."""
        return self.request(method, f"{self.scenes[scene].number}/{path}", role)

    def read(self, path: str, role: str = "reader", **kwargs: object) -> Any:
        """The JSON that `path` after `…/actions/runs/` answers with; anything but a yes fails the test."""
        return agreed(self.request("GET", path, role, **kwargs)).json()

    def read_of(self, scene: str, path: str) -> Any:
        """The JSON that follows the number of a scene's run."""
        return self.read(f"{self.scenes[scene].number}/{path}")


def agreed(answer: requests.Response) -> requests.Response:
    """An answer that must be a yes. A no fails the test in the product's own words, which say what changed."""
    if answer.status_code not in (200, 201):
        request = answer.request
        pytest.fail(f"{request.method} {request.path_url}: {answer.status_code} {answer.text[:400]}", pytrace=False)
    return answer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that are marked live need a real server, and say how to give them one; the others are for all."""
    if "stage" in metafunc.fixturenames:
        only_real = metafunc.definition.get_closest_marker("live") is not None
        targets = LIVE or NO_LIVE if only_real else [*MAIN, *LIVE]
        metafunc.parametrize("stage", targets, indirect=True, scope="session")


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A server on which every scene has been played."""
    with closing(_server(request.param)) as server:
        scenes, reason = _prepared(server)
        if reason:
            pytest.fail(f"{request.param} can't be made ready: {reason}", pytrace=False)
        with start_proxy(server.url, admin=server.admin) as proxy:
            yield Stage(server, proxy, scenes)


def _server(name: str) -> Server:
    return StandIn(name) if name in VERSIONS else RealForgejo(name, (ADMIN[0], ADMIN[1]))


def _prepared(server: Server) -> tuple[dict[str, Scene], str]:
    """The scenes, or why they can't be played: for a reader, one line instead of a traceback for each test."""
    try:
        if isinstance(server, RealForgejo):
            server.prepare()
        return perform(server), ""
    except (AssertionError, RuntimeError, requests.RequestException) as error:
        return {}, str(error)


@pytest.fixture(autouse=True)
def _told(request: pytest.FixtureRequest) -> None:
    """Each test's report carries the server that it was for, also when it could not be made ready."""
    if "stage" in request.fixturenames:
        properties = request.node.user_properties
        name = request.node.callspec.params["stage"]
        properties.append(("server", f"stand-in {name}" if name in VERSIONS else name))
        properties.append(("suite", "traffic" if "test_traffic" in request.node.nodeid else "contract"))
        properties.append(("version", request.getfixturevalue("stage").server.version))


pytest_terminal_summary = tell
