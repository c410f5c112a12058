"""Where Forgejo can do it for the caller, the caller asks himself: the administrator's session is not used."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Target
from tests.double import JobSpec, schema
from tests.double.server import Recorded
from tests.support.sample import Sample

LATER = pytest.mark.parametrize("target", ["v15", "v16", "v17"], indirect=True)


def by_session(target: Target) -> list[Recorded]:
    return target.double.requests_by_session()


def changes(target: Target, tail: str) -> list[str]:
    """Who asked Forgejo for a change."""
    seen = list(target.double.requests)
    return [each.principal for each in seen if each.method == "POST" and each.path.endswith(tail)]


def run_of(target: Target, demo: Sample, *names: str) -> Any:
    return target.world.run(demo.repo, title="own", jobs=[JobSpec(name) for name in names])


@LATER
@pytest.mark.parametrize("which", ["by-number", "latest"])
def test_a_cancel(target: Target, demo: Sample, which: str) -> None:
    run = run_of(target, demo, "running", "waiting")
    target.world.pick(run.jobs[0])
    target.double.forget_requests()
    path = f"{demo.base}/latest" if which == "latest" else f"{demo.base}/by-number/{run.index}"
    told = target.request("POST", f"{path}/cancel", demo.writer).json()
    assert [(job["name"], job["previous_status"], job["status"]) for job in told["jobs"]] == [
        ("running", "running", "cancelled"),
        ("waiting", "waiting", "cancelled"),
    ]
    assert (told["id"], told["done"], run.done) == (run.id, True, True)
    assert told["html_url"] == f"{target.proxy.url}/{demo.repo.full_name}/actions/runs/{run.index}"
    writer = f"token:{next(user.name for user, level in demo.repo.collaborators.items() if level == 'write')}"
    assert changes(target, "/cancel") == [writer if target.number >= 16 else "session:root-admin"]
    assert (by_session(target) == []) is (target.number >= 16)


@LATER
@pytest.mark.parametrize(("query", "asked"), [("", 4), ("?job=1", 1), ("?job=failed", 1)])
def test_a_rerun(target: Target, demo: Sample, query: str, asked: int) -> None:
    run = demo.runs["failed"]
    target.world.artifact(run, "report", b"zip")
    target.double.forget_requests()
    answer = target.request("POST", f"{demo.base}/by-number/2/rerun{query}", demo.writer)
    told = answer.json()
    assert answer.status_code == 201 and len([job for job in told["jobs"] if job["asked"]]) == asked, told
    assert (told["attempt"], told["jobs"][0]["attempt"]) == (2, 2)
    assert [each["name"] for each in told["artifacts_deleted"]] == ["report"]
    assert not run.done
    assert {each.partition(":")[0] for each in changes(target, "/rerun")} == {
        "token" if target.number >= 17 else "session"
    }
    assert (by_session(target) == []) is (target.number >= 17)


@pytest.mark.parametrize("target", ["v17"], indirect=True)
def test_forgejos_reason_is_told(target: Target, demo: Sample) -> None:
    demo.repo.disabled_workflows.add("ci.yml")
    answer = target.request("POST", f"{demo.base}/by-number/1/rerun", demo.writer)
    assert (answer.status_code, answer.json()["message"]) == (409, "Forgejo refuses: workflow is disabled")


@pytest.mark.parametrize("target", ["v17"], indirect=True)
def test_a_downgrade_is_noticed(target: Target, demo: Sample) -> None:
    """The routes are gone, and the version that was seen last is still the old one."""
    target.double.version = "v15"
    try:
        answer = target.request("POST", f"{demo.base}/by-number/1/rerun", demo.writer)
        assert answer.status_code == 201 and changes(target, "/rerun")[-1] == "session:root-admin"
    finally:
        target.double.version = "v17"


@LATER
def test_what_only_forgejos_api_tells_of_jobs(target: Target, demo: Sample) -> None:
    target.double.forget_requests()
    listed = target.request("GET", f"{demo.base}/by-number/1/jobs", demo.reader).json()["jobs"]
    told = [(job["attempt"], job["needs"], job["runs_on"]) for job in listed[:2]]
    known = [(1, [], ["docker"]), (1, ["build"], ["docker"])]
    assert told == (known if target.number >= 16 else [(None, None, None)] * 2)
    asked = [each for each in list(target.double.requests) if "/api/v1/" in each.path and "/jobs" in each.path]
    assert {each.principal.partition(":")[0] for each in asked} == ({"token"} if target.number >= 16 else set())
    (build, *_) = demo.runs["green"].jobs
    one = target.request("GET", f"{demo.base}/by-number/1/jobs/0", demo.reader).json()
    step = one["steps"][1]
    times = (step["started_at"], one["completed_at"])
    moments = tuple(schema.moment(each) for each in (build.task.steps[0].started, build.task.stopped))
    assert times == (moments if target.number >= 17 else (None, None))
    target.request("POST", f"{demo.base}/by-number/1/rerun?job=0", demo.writer)
    target.world.play(build)
    earlier = target.request("GET", f"{demo.base}/by-number/1/jobs/0?attempt=1", demo.reader).json()
    assert (earlier["completed_at"], earlier["steps"][1]["started_at"]) == (None, None), (
        "times are the newest attempt's"
    )
