"""Rerun: it happened, or a 409 says why not."""

from __future__ import annotations

import pytest

from tests.conftest import Target
from tests.double import Fault, JobSpec
from tests.sample import Sample


def test_a_whole_run(target: Target, demo: Sample) -> None:
    answer = target.request("POST", f"{demo.base}/latest/rerun", demo.writer)
    assert answer.status_code == 201, answer.text
    rerun = answer.json()
    assert rerun["run_number"] == 4 and rerun["done"] is False and rerun["job"] is None
    assert [job["index"] for job in rerun["jobs"]] == [0, 1, 2, 3]
    assert answer.headers["Location"] == f"{target.proxy.url}{demo.base}/4/jobs"
    assert not any(job.status.done for job in demo.runs["branch"].jobs)


@pytest.mark.parametrize("job", ["1", "test"])
def test_one_job(target: Target, demo: Sample, job: str) -> None:
    answer = target.request("POST", f"{demo.base}/2/rerun", demo.writer, params={"job": job})
    assert answer.status_code == 201, answer.text
    assert [each["name"] for each in answer.json()["jobs"]] == ["test"]
    assert answer.json()["job"] == 1


def test_a_running_run_is_refused(target: Target, demo: Sample) -> None:
    """Versions before 15 answer 200 and do nothing."""
    run = target.world.run(demo.repo, workflow_id="ci.yml", title="busy", jobs=[JobSpec("slow")])
    target.world.pick(run.jobs[0])
    for query in ("", "?job=0"):
        answer = target.request("POST", f"{demo.base}/latest/rerun{query}", demo.writer)
        assert answer.status_code == 409 and "not done" in answer.json()["message"]


def test_a_missing_run_or_job(target: Target, demo: Sample) -> None:
    assert target.request("POST", f"{demo.base}/999/rerun", demo.writer).status_code == 404
    assert target.request("POST", f"{demo.base}/1/rerun?job=9", demo.writer).status_code == 404


def test_a_yes_without_an_effect_is_a_conflict(target: Target, demo: Sample) -> None:
    target.double.faults.append(Fault(match=rf"^POST /{demo.repo.full_name}/.*/rerun", kind="json", value={}))
    answer = target.request("POST", f"{demo.base}/1/rerun", demo.writer)
    assert answer.status_code == 409 and "nothing was rerun" in answer.json()["message"]


def test_reading_is_not_enough(target: Target, demo: Sample) -> None:
    target.double.forget_requests()
    for token in (demo.reader, demo.stranger, None, target.world.token(demo.repo.owner, "read:repository")):
        answer = target.request("POST", f"{demo.base}/1/rerun", token)
        assert answer.status_code in (401, 403, 404), answer.text
    mine = [seen for seen in target.double.requests_by_session() if demo.repo.full_name in seen.path]
    assert mine == []
    assert all(job.status.done for job in demo.runs["green"].jobs)


def test_an_archived_repository(target: Target, demo: Sample) -> None:
    demo.repo.archived = True
    answer = target.request("POST", f"{demo.base}/1/rerun", demo.writer)
    assert answer.status_code == 409 and "archived" in answer.json()["message"]
    assert all(job.status.done for job in demo.runs["green"].jobs)
