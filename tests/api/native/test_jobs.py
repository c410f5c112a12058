"""One job by id: its fields, its steps, and who may see it."""

from __future__ import annotations

import pyfj
import pytest

from tests.api.native.conftest import ById, few_versions
from tests.double.model import Job, JobSpec
from tests.support.sample import Sample


def test_a_job_by_id(by_id: ById, native_demo: Sample) -> None:
    repo, run = native_demo.repo, native_demo.runs["failed"]
    for job in run.jobs:
        answer = by_id.ask("GET", f"{repo.full_name}/actions/jobs/{job.id}", native_demo.reader)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
        told, never_ran = answer.json(), job.task is None
        assert (told["id"], told["run_id"], told["name"], told["status"]) == (job.id, run.id, job.name, job.status)
        assert (told["repo_id"], told["owner_id"]) == (repo.id, repo.owner.id)
        assert told["task_id"] == (0 if never_ran else job.task.id)
        assert told["attempt"] == (0 if by_id.number == 12 else 1)
        tail = "" if by_id.number == 12 else "/attempt/1"
        assert told["html_url"].endswith(f"/{repo.full_name}/actions/runs/{run.index}/jobs/{job.index}{tail}")
        assert ("steps" in told) != never_ran
        names = [step["name"] for step in told.get("steps", ())]
        assert names == ([] if never_ran else ["Set up job", *job.spec.steps, "Complete job"])
        assert [step["number"] for step in told.get("steps", ())] == list(range(len(names)))
        assert all(step["started"] and step["stopped"] for step in told.get("steps", ()) if step["status"] == "success")
        if by_id.number >= 16:
            assert (told["handle"], told["runs_on"]) == (job.handle, list(job.spec.runs_on))
            assert "X-Actions-Unknown-Fields" not in answer.headers
        else:
            unknown = ["attempt", "handle", "needs", "runs_on"][by_id.number > 12 :]
            assert answer.headers["X-Actions-Unknown-Fields"].split(", ") == unknown
            assert (told["handle"], told["needs"], told["runs_on"]) == ("", None, None)
        assert pyfj.models.ActionRunJob.model_validate(told).run_id == run.id


def test_a_job_that_waits_has_no_task_and_no_steps(by_id: ById, native_demo: Sample) -> None:
    job = by_id.world.run(native_demo.repo).jobs[0]
    path = f"{native_demo.repo.full_name}/actions/jobs/{job.id}"
    told = by_id.ask("GET", path, native_demo.reader).json()
    assert (told["status"], told["task_id"], "steps" in told) == ("waiting", 0, False)
    log = by_id.ask("GET", f"{path}/logs", native_demo.reader)
    assert (log.status_code, log.json()["message"]) == (404, "job has not been executed yet")


@few_versions
def test_the_times_of_steps_are_told_after_the_log_has_expired(by_id: ById, native_demo: Sample) -> None:
    job = native_demo.runs["green"].jobs[0]
    path = f"{native_demo.repo.full_name}/actions/jobs/{job.id}"
    before = by_id.ask("GET", path, native_demo.reader).json()
    by_id.world.expire_logs(job)
    after = by_id.ask("GET", path, native_demo.reader).json()
    starts = [[step["started"] for step in each["steps"]] for each in (before, after)]
    assert starts[0] == starts[1] and all(starts[0])
    log = by_id.ask("GET", f"{path}/logs", native_demo.reader)
    assert (log.status_code, log.json()["message"]) == (404, "logs have expired")


@few_versions
@pytest.mark.parametrize("tail", ["", "/logs", "/logs?step=0&q=x"])
def test_jobs_that_are_not_there_are_all_alike(by_id: ById, native_demo: Sample, unique: str, tail: str) -> None:
    """Another repository's job, one that nobody has, and what is no id: none tells of the others."""
    world = by_id.world
    other = world.run(world.repo(f"hidden-{unique}/secret")).jobs[0]
    by_id.double.forget_requests()
    for text, id in ((str(other.id), other.id), ("999999999", 999_999_999), ("1", 1), ("0", 0), ("x", 0)):
        answer = by_id.ask("GET", f"{native_demo.repo.full_name}/actions/jobs/{text}{tail}", native_demo.reader)
        message = f"run job with id {id}: resource does not exist"
        assert (answer.status_code, answer.json()["message"]) == (404, message)
    assert not [seen for seen in by_id.double.requests if f"hidden-{unique}" in seen.path]
    if by_id.number >= 16:
        assert by_id.double.requests_by_session() == []


@few_versions
def test_who_may_not_read_is_told_so_before_anything_is_looked_for(by_id: ById, native_demo: Sample) -> None:
    world, job = by_id.world, native_demo.runs["green"].jobs[0]
    revoked = world.token(native_demo.repo.owner, "all")
    world.revoke(revoked)
    wrong_scope = world.token(native_demo.repo.owner, "write:issue")
    by_id.double.forget_requests()
    for token, status in ((None, 404), (native_demo.stranger, 404), (revoked, 401), (wrong_scope, 403)):
        for id in (job.id, 999_999_999):
            for tail in ("", "/logs"):
                path = f"{native_demo.repo.full_name}/actions/jobs/{id}{tail}"
                answer = by_id.ask("GET", path, token)
                assert answer.status_code == status, (path, answer.text)
                assert answer.json()["message"]
    assert by_id.double.requests_by_session() == []


@few_versions
def test_a_job_is_found_among_many_runs_and_remembered(by_id: ById, native_demo: Sample) -> None:
    """Few pages are read, and one that has been found needs no search."""
    world = by_id.world
    runs = [world.run(native_demo.repo) for _ in range(40)]
    if by_id.number >= 16:
        for gone in runs[10:20]:
            native_demo.repo.runs.remove(gone)
    for run in (runs[0], runs[9], runs[20], runs[-1]):
        by_id.double.forget_requests()
        path = f"{native_demo.repo.full_name}/actions/jobs/{run.jobs[0].id}"
        assert by_id.ask("GET", path, native_demo.reader).json()["run_id"] == run.id
        if by_id.number < 16:
            pages = len(by_id.double.requests_by_session())
            by_id.double.forget_requests()
            assert by_id.ask("GET", path, native_demo.reader).status_code == 200
            assert len(by_id.double.requests_by_session()) <= 6
            assert pages <= 60
        elif by_id.number == 16:  # with the caller's own rights
            paths = {seen.path for seen in by_id.double.requests_by_session()}
            assert all(f"/runs/{run.index}/" in each for each in paths if "/actions/" in each)


def test_a_job_that_a_matrix_added_later_is_found(by_id: ById, native_demo: Sample) -> None:
    """Since v14 a placeholder is replaced by jobs with higher ids than those of later runs."""
    world = by_id.world
    run = world.run(native_demo.repo, jobs=[JobSpec("first"), JobSpec("placeholder", needs=["first"])])
    later = [world.run(native_demo.repo) for _ in range(3)]
    gone = run.jobs.pop().id
    added = Job(world._id("job"), run, JobSpec("matrix (1)", needs=["first"]), "handle")
    run.jobs.append(added)
    path = f"{native_demo.repo.full_name}/actions/jobs/"
    if by_id.number >= 14:
        assert by_id.ask("GET", f"{path}{added.id}", native_demo.reader).json()["run_id"] == run.id
    assert by_id.ask("GET", f"{path}{later[1].jobs[0].id}", native_demo.reader).json()["run_id"] == later[1].id
    assert by_id.ask("GET", f"{path}{gone}", native_demo.reader).status_code == 404
