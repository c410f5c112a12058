"""Info, jobs, logs and summary through a real proxy, for every version."""

from __future__ import annotations

import pytest

from addon import __version__
from tests.conftest import Target, every_version
from tests.double import JobSpec
from tests.support.sample import Sample

RUN_FIELDS = {
    "id", "run_number", "display_title", "status", "conclusion", "estimated_outcome", "done", "event", "workflow_id", "head_branch",
    "head_sha", "actor", "html_url", "jobs_url", "logs_url", "rerun_url", "created_at", "updated_at",
    "run_started_at", "completed_at", "duration_seconds", "rerunnable", "cancellable", "workflow_error",
    "workflow_warnings",
}  # fmt: skip
JOB_FIELDS = {
    "index", "id", "run_id", "run_number", "name", "status", "conclusion", "attempt", "attempts", "started_at",
    "completed_at", "duration_seconds", "needs", "runs_on", "steps", "html_url", "logs_url",
}  # fmt: skip


def test_latest(target: Target, demo: Sample) -> None:
    answer = target.request("GET", f"{demo.base}/latest", demo.reader)
    assert answer.status_code == 200, answer.text
    run = answer.json()
    assert set(run) == RUN_FIELDS
    assert (run["run_number"], run["workflow_id"], run["status"], run["done"]) == (4, "ci.yml", "success", True)
    assert (run["conclusion"], run["head_branch"], run["display_title"]) == ("success", "feature/x", "work")
    assert run["head_sha"] == demo.runs["branch"].sha
    assert run["actor"] == demo.runs["branch"].actor.name
    assert run["event"] == (None if target.version == "v7" else "push")
    assert run["html_url"] == f"{target.proxy.url}/{demo.repo.full_name}/actions/runs/4"
    assert run["logs_url"] == f"{target.proxy.url}{demo.base}/by-number/4/logs?attempt=latest"
    if target.number >= 12:
        assert run["id"] == demo.runs["branch"].id
        assert run["created_at"].endswith("Z")
    else:
        assert run["id"] is None and run["created_at"] is None


def test_every_answer_says_who_made_it(target: Target, demo: Sample) -> None:
    for path in (f"{demo.base}/latest", f"{demo.base}/999/logs", f"{demo.base}/0/logs"):
        answer = target.request("GET", path, demo.reader)
        assert answer.headers["X-Actions-Extension"] == __version__
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server-Timing"]


def test_latest_of_a_workflow_is_that_of_any_branch(target: Target, demo: Sample) -> None:
    latest = f"{demo.base}/latest"
    assert target.request("GET", f"{latest}?workflow_id=ci.yml", demo.reader).json()["run_number"] == 4
    assert target.request("GET", f"{latest}?workflow_id=deploy.yml", demo.reader).json()["run_number"] == 3
    unknown = target.request("GET", f"{latest}?workflow_id=nope.yml", demo.reader)
    assert unknown.status_code == 404 and "nope.yml" in unknown.json()["message"]


def test_workflow_must_match_a_run_number(target: Target, demo: Sample) -> None:
    logs = f"{demo.base}/3/logs"
    assert target.request("GET", f"{logs}?workflow_id=deploy.yml", demo.reader).status_code == 200
    answer = target.request("GET", f"{logs}?workflow_id=ci.yml", demo.reader)
    assert answer.status_code == 404 and "deploy.yml" in answer.json()["message"]


def test_by_number_works_everywhere(target: Target, demo: Sample) -> None:
    run = target.request("GET", f"{demo.base}/by-number/1", demo.reader).json()
    assert run["run_number"] == 1 and run["display_title"] == 'add <b>ci</b> "quoted" ✓'
    assert target.request("GET", f"{demo.base}/by-number/2/jobs", demo.reader).json()["total_count"] == 4


def test_jobs(target: Target, demo: Sample) -> None:
    answer = target.request("GET", f"{demo.base}/2/jobs", demo.reader).json()
    assert answer["total_count"] == 4
    assert all(set(job) == JOB_FIELDS for job in answer["jobs"])
    assert [job["name"] for job in answer["jobs"]] == ["build", "test", "lint (mypy)", "lint (ruff)"]
    assert [job["conclusion"] for job in answer["jobs"]] == ["success", "failure", "success", "success"]
    assert [job["id"] for job in answer["jobs"]] == [job.id for job in demo.runs["failed"].jobs]


@pytest.mark.parametrize("job", ["1", "test"])
def test_one_job_with_its_steps(target: Target, demo: Sample, job: str) -> None:
    answer = target.request("GET", f"{demo.base}/2/jobs", demo.reader, params={"job": job}).json()
    assert answer["total_count"] == 1
    (found,) = answer["jobs"]
    assert found["index"] == 1
    assert [step["name"] for step in found["steps"]] == ["Set up job", "unit", "integration", "Complete job"]
    assert [step["number"] for step in found["steps"]] == [1, 2, 3, 4]
    assert found["attempt"] == (1 if target.number >= 13 else None)


@pytest.mark.parametrize("job", ["", "?job=0", "?job=build", "?attempt=latest", "?workflow_id=ci.yml"])
def test_logs_are_forgejos_bytes(target: Target, demo: Sample, job: str) -> None:
    answer = target.request("GET", f"{demo.base}/1/logs{job}", demo.reader)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content == demo.runs["green"].jobs[0].log_bytes()
    assert b"\xc3\xbcn\xc3\xafc\xc3\xb6d\xc3\xa9" in answer.content
    assert answer.headers["X-Actions-Attempt"] == ("1" if target.number >= 13 else "latest")


def test_logs_of_a_job_by_name(target: Target, demo: Sample) -> None:
    answer = target.request("GET", f"{demo.base}/2/logs", demo.reader, params={"job": "lint (ruff)"})
    assert answer.content == demo.runs["failed"].jobs[3].log_bytes()
    assert answer.headers["X-Actions-Job"] == "3"


def test_head_is_get_without_a_body(target: Target, demo: Sample) -> None:
    for path in ("latest", "1/logs", "1/jobs", "1/summary", "999/logs"):
        got = target.request("GET", f"{demo.base}/{path}", demo.reader)
        head = target.request("HEAD", f"{demo.base}/{path}", demo.reader)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_range_of_a_log(target: Target, demo: Sample) -> None:
    whole = demo.runs["green"].jobs[0].log_bytes()
    part = target.request("GET", f"{demo.base}/1/logs", demo.reader, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    beyond = target.request("GET", f"{demo.base}/1/logs", demo.reader, headers={"Range": "bytes=999999-"})
    assert beyond.status_code == 416


def test_a_job_that_does_not_exist_is_a_404(target: Target, demo: Sample) -> None:
    """Forgejo itself would show job 0."""
    for path in ("1/logs?job=4", "1/jobs?job=99", "1/logs?job=nope"):
        answer = target.request("GET", f"{demo.base}/{path}", demo.reader)
        assert answer.status_code == 404 and "no job" in answer.json()["message"]


def test_an_ambiguous_name_lists_the_candidates(target: Target, demo: Sample) -> None:
    target.world.run(demo.repo, workflow_id="ci.yml", title="twins", jobs=[JobSpec("same"), JobSpec("same")])
    answer = target.request("GET", f"{demo.base}/latest/logs?job=same", demo.reader)
    assert answer.status_code == 400 and "0, 1" in answer.json()["message"]


def test_run_zero_never_reaches_forgejo(target: Target, demo: Sample) -> None:
    target.double.forget_requests()
    for run in ("0", "00", "-1", "foo", "%30"):
        assert target.request("GET", f"{demo.base}/{run}/logs", demo.owner).status_code == 400
    assert [seen for seen in target.double.requests if demo.repo.full_name in seen.path] == []


def test_a_run_that_does_not_exist(target: Target, demo: Sample) -> None:
    for path in ("999/logs", "999/jobs", "999/summary", "by-number/999"):
        answer = target.request("GET", f"{demo.base}/{path}", demo.reader)
        assert answer.status_code == 404 and "no run 999" in answer.json()["message"]


def test_a_repository_without_runs(target: Target, unique: str) -> None:
    user = target.world.user(f"empty-{unique}")
    target.world.repo(f"empty-{unique}/nothing")
    token = target.world.token(user, "all")
    answer = target.request("GET", f"/api/v1/repos/empty-{unique}/nothing/actions/runs/latest", token)
    assert answer.status_code == 404 and "no runs" in answer.json()["message"]


def test_a_running_job(target: Target, demo: Sample) -> None:
    world = target.world
    run = world.run(demo.repo, workflow_id="ci.yml", title="running", jobs=[JobSpec("slow", steps=["a", "b"])])
    logs = f"{demo.base}/latest/logs"
    waiting = target.request("GET", logs, demo.reader)
    assert waiting.status_code == 404 and "not started" in waiting.json()["message"]
    world.pick(run.jobs[0])
    nothing_yet = target.request("GET", logs, demo.reader)
    assert nothing_yet.status_code == 404 and "no log lines yet" in nothing_yet.json()["message"]
    world.log(run.jobs[0], "half a log")
    half = target.request("GET", logs, demo.reader)
    assert (half.status_code, half.content) == (200, run.jobs[0].log_bytes())
    info = target.request("GET", f"{demo.base}/latest", demo.reader).json()
    assert (info["status"], info["done"], info["conclusion"], info["completed_at"]) == ("running", False, None, None)
    assert info["rerunnable"] is False and info["cancellable"] is True


def test_done_takes_the_jobs_into_account(target: Target, demo: Sample) -> None:
    """From v11 on a run reads `failure` while other jobs still run."""
    world = target.world
    run = world.run(demo.repo, workflow_id="ci.yml", title="half", jobs=[JobSpec("bad"), JobSpec("slow")])
    world.play(run.jobs[0], "failure", [["x"]])
    world.pick(run.jobs[1])
    info = target.request("GET", f"{demo.base}/latest", demo.reader).json()
    assert (info["done"], info["conclusion"]) == (False, None)


def test_an_expired_log_is_gone(target: Target, demo: Sample) -> None:
    target.world.expire_logs(demo.runs["deploy"].jobs[0])
    answer = target.request("GET", f"{demo.base}/3/logs", demo.reader)
    assert answer.status_code == 410 and "expired" in answer.json()["message"]


def test_a_skipped_job_never_had_a_log(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, workflow_id="ci.yml", title="skip", jobs=[JobSpec("never")])
    target.world.finish(run.jobs[0], "skipped")
    answer = target.request("GET", f"{demo.base}/latest/logs", demo.reader)
    assert answer.status_code == 404 and "never started" in answer.json()["message"]


def test_summary(target: Target, demo: Sample) -> None:
    target.world.artifact(demo.runs["failed"], "dist", b"zip bytes")
    summary = target.request("GET", f"{demo.base}/2/summary", demo.reader).json()
    assert set(summary["run"]) == RUN_FIELDS
    assert summary["counts"] == {"success": 3, "failure": 1}
    (failed,) = summary["failed_jobs"]
    assert (failed["index"], failed["name"]) == (1, "test")
    assert [step["name"] for step in failed["failed_steps"]] != []
    assert [artifact["name"] for artifact in summary["artifacts"]] == ["dist"]
    assert summary["artifacts"][0]["size_in_bytes"] == len(b"zip bytes")


def test_two_attempts(target: Target, demo: Sample) -> None:
    world, job = target.world, demo.runs["deploy"].jobs[0]
    first = job.log_bytes()
    assert target.request("POST", f"{demo.base}/3/rerun", demo.writer).status_code == 201
    hidden = target.request("GET", f"{demo.base}/3/logs", demo.reader)
    if target.number >= 16:  # Forgejo's own route has it, for the caller
        assert (hidden.content, hidden.headers["X-Actions-Attempt"]) == (first, "1")
        tail = target.request("GET", f"{demo.base}/3/logs?tail=1", demo.reader)
        part = target.request("GET", f"{demo.base}/3/logs", demo.reader, headers={"Range": "bytes=5-9"})
        assert (tail.content, part.status_code, part.content) == (first.splitlines(True)[-1], 206, first[5:10])
        assert target.request("HEAD", f"{demo.base}/3/logs", demo.reader).headers["Content-Length"] == str(len(first))
        hidden = target.request("GET", f"{demo.base}/3/logs?attempt=latest", demo.reader)
    assert hidden.status_code == 404 and "not started" in hidden.json()["message"]
    world.play(job, "failure", [["again"], ["failed this time"]])
    second = job.log_bytes()
    assert first != second
    default = target.request("GET", f"{demo.base}/3/logs", demo.reader)
    newest = target.request("GET", f"{demo.base}/3/logs?attempt=latest", demo.reader)
    one = target.request("GET", f"{demo.base}/3/logs?attempt=1", demo.reader)
    assert newest.content == second
    if target.number >= 13:
        assert default.content == one.content == first
        assert (default.headers["X-Actions-Attempt"], newest.headers["X-Actions-Attempt"]) == ("1", "2")
        missing = target.request("GET", f"{demo.base}/3/logs?attempt=3", demo.reader)
        assert missing.status_code == 404 and "attempts: 1, 2" in missing.json()["message"]
    else:
        assert default.content == second
        assert one.status_code == 404 and "before v13" in one.json()["message"]


def test_a_negative_duration_is_null(target: Target, demo: Sample) -> None:
    job = demo.runs["green"].jobs[0]
    job.clock_skew = -1_900_000
    answer = target.request("GET", f"{demo.base}/1/jobs", demo.reader).json()
    assert answer["jobs"][0]["duration_seconds"] is None


def test_methods_and_parameters(target: Target, demo: Sample) -> None:
    wrong = target.request("DELETE", f"{demo.base}/1/logs", demo.owner)
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD")
    assert target.request("GET", f"{demo.base}/1/rerun", demo.owner).headers["Allow"] == "POST"
    typo = target.request("GET", f"{demo.base}/latest?workflow=ci.yml", demo.reader)
    assert typo.status_code == 400 and "workflow_id" in typo.json()["message"]
    assert target.request("GET", f"{demo.base}/1/jobs?attempt=1", demo.reader).status_code == 400


def test_names_are_canonical_and_a_rename_is_followed(target: Target, demo: Sample, unique: str) -> None:
    upper = target.request("GET", f"{demo.base}/1/logs".replace("demo", "DEMO"), demo.reader)
    assert upper.status_code == 200
    target.world.rename(demo.repo, f"owner-{unique}/renamed")
    answer = target.request("GET", f"/api/v1/repos/owner-{unique}/demo/actions/runs/by-number/1", demo.reader)
    assert answer.status_code == 200, answer.text
    assert f"owner-{unique}/renamed" in answer.json()["html_url"]


@every_version
def test_a_failed_job_tells_how_a_run_will_end(target: Target, demo: Sample) -> None:
    """Since v17 its status waits for all jobs; before, it is final at once, since v11."""
    run = target.world.run(demo.repo, title="fix #12 and `code`", jobs=[JobSpec("bad"), JobSpec("slow")])
    target.world.play(run.jobs[0], "failure", [["x"]])
    target.world.pick(run.jobs[1])
    told = target.request("GET", f"{demo.base}/by-number/{run.index}", demo.reader).json()
    early = 11 <= target.number <= 16
    assert (told["status"], told["done"]) == ("failure" if early else "running", False)
    assert (told["estimated_outcome"], told["conclusion"]) == ("failure", None)
    assert told["completed_at"] is None and told["display_title"] == "fix #12 and `code`"
    found = target.request("GET", f"{demo.base}/latest?workflow_id={run.workflow_id}", demo.reader).json()
    assert (found["run_number"], found["display_title"]) == (run.index, run.title)
    target.world.play(run.jobs[1], "success", [["x"]])
    told = target.request("GET", f"{demo.base}/by-number/{run.index}", demo.reader).json()
    assert (told["status"], told["done"], told["estimated_outcome"]) == ("failure", True, "failure")
