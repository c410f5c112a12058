"""Hostile requests at the running proxy: the administrator's session only opens what was asked for and approved.

FUZZ_EXAMPLES says how many; addon/docs/security.md has the command for the long run.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, note, settings

from tests.api.hostile import Hostile, meaning, requests
from tests.double import Double, JobSpec
from tests.double.server import Recorded
from tests.support.proxy import Proxy, raw, start_proxy

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))
PAGE = re.compile(r"/([^/]+)/([^/]+)/actions(?:/runs/(latest|[0-9]+)(/[a-z0-9/]*|/artifacts/[^/]+)?)?")
PROBE = re.compile(r"/api/v1/repos/([^/]+)/([^/]+)/actions/(runs|tasks|workflows/_/dispatches)")
SECRET = "only the victim may read this"
OPEN = {"mine/demo", "someone/public"}


@dataclass
class Stage:
    """A proxy before a stand-in with a repository of the caller, a public one, and a victim's."""

    double: Double
    proxy: Proxy
    tokens: dict[str, str]
    native: bool  # {x} in runs/{x}/… is an id

    def send(self, data: bytes) -> bytes:
        """The answer; what the proxy does not answer at all is empty."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            return raw(self.proxy, data, timeout=3)
        return b""


def build(double: Double) -> dict[str, str]:
    """The world; the tokens by caller."""
    world = double.world
    people: dict[str, Any] = {name: world.user(name) for name in ("mine", "someone", "victim", "reader", "writer")}
    for full_name in ("mine/demo", "someone/public", "victim/secret", "mine/secret"):
        repo = world.repo(full_name, private=full_name != "someone/public")
        hidden = full_name.endswith("secret")
        if full_name == "mine/demo":
            repo.collaborators |= {people["reader"]: "read", people["writer"]: "write"}
        for _ in range(3):
            run = world.run(repo, title=SECRET if hidden else "open", jobs=[JobSpec("build"), JobSpec("test")])
            for job in run.jobs:
                world.play(job, "success", [[SECRET if hidden else "open"]])
            world.artifact(run, "report", (SECRET if hidden else "open").encode())
    people["stranger"] = world.user("stranger")
    return {name: world.token(people[name], "all") for name in ("reader", "writer", "stranger")} | {"none": "f" * 40}


@pytest.fixture(scope="module", params=["v7", "v15", "v13-native"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    version, _, collisions = request.param.partition("-")
    with Double(version=version) as double:
        double.world.next_id |= {"run": 1000, "job": 50_000}
        tokens, admin = build(double), double.world.admin
        options = {"actions_collisions": collisions or "extension"}
        with start_proxy(double.url, (admin.name, admin.password), options) as proxy:
            yield Stage(double, proxy, tokens, bool(collisions))


def check(stage: Stage, hostile: Hostile, answer: bytes, seen: list[Recorded]) -> None:
    """What must hold of any request, whatever it was. Before v12 a path with a job's id is nobody's, and passes."""
    theirs = ("list", "job:") if stage.double.world.version.number < 12 else ("list",)
    assert SECRET.encode() not in answer
    assert b"internal error of the Actions extension" not in answer
    meant = meaning(hostile.target.strip(" \t"), stage.native)  # a request line may have more space than it needs
    for index, each in enumerate(seen):
        if each.principal == "session:root-admin" and each.path != "/user/login":
            check_page(stage.double, each, seen[:index], meant)
        elif not each.principal.startswith("session:"):
            assert (meaning(each.path, stage.native) or ("", "", "list"))[2].startswith(theirs), (
                f"Forgejo was given the extension's {each.path}"
            )


def check_page(double: Double, page: Recorded, before: list[Recorded], meant: tuple[str, str, str] | None) -> None:
    """A request of the session: of the repository and run that were meant, after Forgejo's own yes to the caller."""
    found = PAGE.fullmatch(page.path)
    assert found and meant, f"the session opened {page.path}"
    owner, name, run = found[1], found[2], found[3]
    if (found[4] or "").startswith("/artifacts/") and double.world.version.attempts:
        run = number_of(double, f"{owner}/{name}", int(run))
    assert f"{owner}/{name}".lower() in OPEN
    assert (owner.lower(), name.lower()) == (meant[0].lower(), meant[1].lower())
    writing = page.path.endswith(("/rerun", "/cancel"))
    searched = meant[2].startswith("job:") and not writing  # a job's run is looked for in others, too
    assert run in (None, "latest") or meant[2] in ("latest", "list") or searched or run == number(double, meant)
    assert any(approves(each, owner, name, writing) for each in before)


def number(double: Double, meant: tuple[str, str, str]) -> str:
    """The number of the run that was meant."""
    kind, _, text = meant[2].rpartition(":")
    if not kind:
        return text
    return number_of(double, f"{meant[0]}/{meant[1]}", int(text) if text.isdecimal() else 0, kind)


def number_of(double: Double, full_name: str, id: int, kind: str = "run") -> str:
    """The number of a run that is named by its database id or by that of one of its jobs."""
    repo = double.world.find_repo(*full_name.split("/"))
    found = (run for run in repo.runs if id == run.id or kind == "job") if repo else ()
    return next((str(run.index) for run in found if kind == "run" or id in (job.id for job in run.jobs)), "none")


def approves(probe: Recorded, owner: str, name: str, writing: bool) -> bool:
    """Whether Forgejo said yes to the caller here. Who may dispatch, or make a branch before v9, may write and read."""
    path = f"/api/v1/repos/{owner}/{name}"
    if probe.principal.startswith("session:") or not unquote(probe.path).lower().startswith(path.lower()):
        return False
    if (probe.method, probe.status) in (("POST", 400), ("POST", 422)):
        return True
    return not writing and (probe.method, probe.status) == ("GET", 200)


def run(stage: Stage, hostile: Hostile) -> bytes:
    start = len(stage.double.requests)
    answer = stage.send(hostile.data)
    seen = stage.double.requests[start:]
    note(
        f"{hostile.data!r}\n{answer[:200]!r}\n"
        + "\n".join(f"{each.principal} {each.method} {each.path}" for each in seen)
    )
    check(stage, hostile, answer, seen)
    return answer


def finish_reruns(double: Double) -> None:
    """So that there is always something to rerun."""
    for repo in double.world.repos:
        for job in (job for each in repo.runs for job in each.jobs if not job.status.done):
            assert repo.full_name == "mine/demo", "a rerun where the caller may not write"
            double.world.play(job, "success", [["open"]])


def test_hostile_requests(stage: Stage) -> None:
    counts = {"sent": 0, "granted": 0}
    repos = stage.double.world.repos
    every = [run for repo in repos for run in (repo.runs if repo.full_name in OPEN else repo.runs[:1])]
    runs, jobs = [run.id for run in every], [job.id for run in every for job in run.jobs]

    repositories = (
        "mine/demo",
        "someone/public",
        "victim/secret",
        "mine/secret",
        "mine/demo/../secret",
        "mine/none",
    )
    asked = requests(repositories, tuple(stage.tokens.values()), runs, jobs)

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    @given(asked)
    def throw(hostile: Hostile) -> None:
        answer = run(stage, hostile)
        counts["sent"] += 1
        by_id = stage.native and answer.startswith(b"HTTP/1.1 20")  # most of these need no session, or all
        counts["granted"] += by_id or bool(stage.double.requests_by_session())
        stage.double.forget_requests()
        finish_reruns(stage.double)

    throw()
    print(f"{stage.double.version}: {counts['sent']} requests, {counts['granted']} of them granted")
    least = 0 if stage.native else counts["sent"] // 50
    assert counts["granted"] > least, "too few requests got through for the test to mean anything"
    path, token = "/api/v1/repos/mine/demo/actions/runs/latest/jobs", stage.tokens["reader"]
    good = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: token {token}\r\nConnection: close\r\n\r\n"
    assert stage.send(good.encode()).startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in stage.proxy.log() and "unexpected" not in stage.proxy.log()
