"""What an answer costs Forgejo: the number of requests for each route and version, as the page on performance says."""

from __future__ import annotations

import re

from addon import ROOT
from tests.actions.test_artifacts import zipped
from tests.conftest import VERSIONS, Target, every_version
from tests.double import JobSpec
from tests.support.sample import sample

TABLE = f"| route | {' | '.join(version[1:] for version in VERSIONS)} |"
# Routes that are asked again each minute where they are missing, in case of an upgrade: since when they exist.
NEWER = (("actions/runs", 12), ("actions/tasks", 9), ("actions/workflows/_/dispatches", 9))


def table() -> dict[str, dict[str, int]]:
    """The documentation's table: requests by version and route."""
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", _section(), re.MULTILINE)
    found: dict[str, dict[str, int]] = {version: {} for version in VERSIONS}
    for route, cells in rows:
        for version, cell in zip(VERSIONS, cells.split(" | "), strict=True):
            if cell != "–":
                found[version][route] = int(cell)
    return found


def _section() -> str:
    page = (ROOT / "addon/docs/performance.md").read_text()
    assert TABLE in page
    return page.partition(TABLE)[2].partition("\n\n")[0]


def is_probe(path: str, version: int) -> bool:
    """Whether this asks for a route that the version lacks."""
    return any(re.search(rf"^/api/v1/repos/[^/]+/[^/]+/{tail}$", path) and version < since for tail, since in NEWER)


@every_version
def test_requests_to_forgejo(target: Target, unique: str) -> None:
    expected = table()[target.version]
    counted = {
        route: _count(target, f"{unique}-{number}", *route.rpartition(" ")[::2])
        for number, route in enumerate(expected)
    }
    assert counted == expected


def _count(target: Target, unique: str, method: str, route: str) -> int:
    """How many requests one answer costs, on runs that nobody else uses."""
    demo = sample(target.world, unique)
    target.world.artifact(demo.runs["failed"], "report", zipped())
    running = target.world.run(demo.repo, jobs=[JobSpec("long", steps=["long"])]) if "/5/" in route else None
    if running:
        target.world.pick(running.jobs[0])
    # These sign in, and show what kind of server it is.
    assert target.request("GET", f"{demo.base}/2/jobs", demo.writer).ok
    assert target.request("POST", f"{demo.base}/2/rerun?dry_run=true", demo.writer).ok
    target.double.forget_requests()
    response = target.request(method or "GET", f"{demo.base}/{route.removeprefix('runs/')}", demo.writer)
    assert response.ok, response.text
    asked = [seen.path for seen in target.double.requests if not is_probe(seen.path, target.number)]
    assert asked[0].startswith("/api/v1/"), "access is asked first"
    return len(asked)
