"""Cancel: it happened, or a 409 says why not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Target
from tests.double import Fault, JobSpec
from tests.support.sample import Sample

pytestmark = pytest.mark.more_versions

JOBS = [JobSpec("done"), JobSpec("running"), JobSpec("waiting"), JobSpec("blocked", needs=["running"])]


@pytest.fixture
def busy(target: Target, demo: Sample) -> Any:
    """A run with a job in each state that a cancel finds."""
    run = target.world.run(demo.repo, title="busy", jobs=JOBS)
    target.world.play(run.jobs[0])
    target.world.pick(run.jobs[1])
    return run


def states(run: Any) -> list[str]:
    return [str(job.status) for job in run.jobs]


def test_what_is_not_done_is_cancelled(target: Target, demo: Sample, busy: Any) -> None:
    answer = target.request("POST", f"{demo.base}/latest/cancel", demo.writer)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["run_number"], told["done"], told["dry_run"]) == (busy.index, True, False)
    assert [(job["index"], job["previous_status"], job["status"]) for job in told["jobs"]] == [
        (1, "running", "cancelled"),
        (2, "waiting", "cancelled"),
        (3, "blocked", "cancelled"),
    ]
    assert states(busy) == ["success", "cancelled", "cancelled", "cancelled"]
    path = told["watch_url"].removeprefix(target.proxy.url)
    assert target.request("GET", path, demo.reader).json()["done"] is True


def test_a_finished_run_is_a_conflict(target: Target, demo: Sample, busy: Any) -> None:
    """Forgejo would say yes."""
    for query in ("", "?dry_run=true"):
        answer = target.request("POST", f"{demo.base}/1/cancel{query}", demo.writer)
        assert answer.status_code == 409 and "run 1 is done (success)" in answer.json()["message"]
    assert target.request("POST", f"{demo.base}/{busy.index}/cancel", demo.writer).status_code == 200
    assert target.request("POST", f"{demo.base}/{busy.index}/cancel", demo.writer).status_code == 409
    assert target.request("POST", f"{demo.base}/999/cancel", demo.writer).status_code == 404


def test_a_run_whose_status_is_final_before_its_jobs(target: Target, demo: Sample) -> None:
    """From v11 on one failed job decides; before v14 Forgejo's page then offers no cancel."""
    run = target.world.run(demo.repo, jobs=[JobSpec("bad"), JobSpec("slow")])
    target.world.play(run.jobs[0], "failure")
    target.world.pick(run.jobs[1])
    assert target.request("GET", f"{demo.base}/by-number/{run.index}", demo.reader).json()["cancellable"] is True
    assert target.request("POST", f"{demo.base}/{run.index}/cancel?dry_run=true", demo.writer).status_code == 200
    answer = target.request("POST", f"{demo.base}/{run.index}/cancel", demo.writer)
    assert answer.status_code == 200 and states(run) == ["failure", "cancelled"]


def test_a_dry_run_changes_nothing(target: Target, demo: Sample, busy: Any) -> None:
    before = states(busy)
    target.double.forget_requests()
    answer = target.request("POST", f"{demo.base}/by-number/{busy.index}/cancel?dry_run=1", demo.writer)
    assert answer.status_code == 200 and answer.json()["dry_run"] is True and answer.json()["done"] is False
    assert [job["name"] for job in answer.json()["jobs"]] == ["running", "waiting", "blocked"]
    assert states(busy) == before
    assert not any(seen.path.endswith("/cancel") for seen in target.double.requests_by_session())


def test_reading_is_not_enough(target: Target, demo: Sample, busy: Any) -> None:
    before = states(busy)
    target.double.forget_requests()
    for token in (demo.reader, demo.stranger, None, target.world.token(demo.repo.owner, "read:repository")):
        for query in ("", "?dry_run=true"):
            answer = target.request("POST", f"{demo.base}/{busy.index}/cancel{query}", token)
            assert answer.status_code in (401, 403, 404), answer.text
    assert [seen for seen in target.double.requests_by_session() if demo.repo.full_name in seen.path] == []
    demo.repo.archived = True
    answer = target.request("POST", f"{demo.base}/{busy.index}/cancel", demo.writer)
    assert answer.status_code == 409 and "archived" in answer.json()["message"]
    assert states(busy) == before


@pytest.mark.parametrize(("kind", "status"), [("json", 409), ("status", 502), ("html", 409)])
def test_a_yes_without_an_effect_is_no_success(target: Target, demo: Sample, busy: Any, kind: str, status: int) -> None:
    value = {"json": {}, "status": 500}.get(kind)
    if target.number >= 16:  # the caller asks Forgejo's API himself, which says yes with 204 only
        kind, value, status = ("status", 204, 409) if kind == "json" else (kind, value, 502)
    target.double.faults.append(Fault(match=rf"^POST .*/{demo.repo.full_name}/.*/cancel", kind=kind, value=value))
    answer = target.request("POST", f"{demo.base}/{busy.index}/cancel", demo.writer)
    if target.number >= 16:
        assert answer.status_code == status and states(busy)[1] == "running"
        return
    if kind == "html":  # a page without the signs of a session is taken for a lost one, and the request repeated
        assert answer.status_code == 200 and states(busy)[1] == "cancelled"
        return
    assert answer.status_code == status and states(busy)[1] == "running"
