"""Live tests: FORGEJO_LIVE_URL (one or more URLs, comma-separated) names servers on which things may be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.live.runner import Task
from tests.live.world import CI, DEPLOY, LiveWorld
from tests.support import Proxy, start_proxy

URLS = [url.strip() for url in os.environ.get("FORGEJO_LIVE_URL", "").split(",") if url.strip()]
HOW = "set FORGEJO_LIVE_URL, FORGEJO_LIVE_ADMIN_USER and FORGEJO_LIVE_ADMIN_PASSWORD to run the live tests"


@dataclass(frozen=True)
class Live:
    """A real server with a proxy before it, and the runs that were played there."""

    world: LiveWorld
    proxy: Proxy
    green: list[Task]
    failed: list[Task]

    def request(self, method: str, path: str, role: str | None = "reader", **kwargs: object) -> requests.Response:
        """A request through the proxy as one of the people; `path` follows `…/actions/runs/`."""
        headers = {"Authorization": f"token {self.world.tokens[role]}"} if role else {}
        url = f"{self.proxy.url}{self.world.base}/{path}"
        return requests.request(method, url, headers=headers, timeout=30, **kwargs)  # type: ignore[arg-type]


@pytest.fixture(scope="session", params=URLS or [pytest.param("", marks=pytest.mark.skip(reason=HOW))])
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    """Run 1 is green, run 2 failed in `test`, run 3 is a deployment; the runs of a branch are made by tests."""
    admin = (os.environ["FORGEJO_LIVE_ADMIN_USER"], os.environ["FORGEJO_LIVE_ADMIN_PASSWORD"])
    world = LiveWorld(request.param, admin)
    try:
        world.commit(".forgejo/workflows/ci.yml", CI, 'add <b>ci</b> "quoted" ✓')
        green = world.play(3)
        world.commit(".forgejo/workflows/deploy.yml", DEPLOY, "add deploy")
        failed = world.play(4, failing="test")
        with start_proxy(world.url, admin=admin) as proxy:
            print(f"live: Forgejo {world.version} at {world.url}")
            yield Live(world, proxy, green, failed)
    finally:
        world.close()
