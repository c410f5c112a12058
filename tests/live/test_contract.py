"""The contract: what the scripted runner wrote is what the proxy serves, on every server in the same words."""

from __future__ import annotations

import pytest
import requests

from tests.live import nulls
from tests.live.conftest import Stage, agreed
from tests.live.scenes import BIG, TITLE, files, finish
from tests.live.server import PUBLIC, eventually

PLAYED = ("green", "failed", "needs", "matrix", "big", "cancelled", "artifacts", "deploy", "running", "feature")


# --- logs ---


@pytest.mark.parametrize("scene", PLAYED)
def test_logs_are_byte_for_byte_what_the_runner_wrote(stage: Stage, scene: str) -> None:
    played = stage.scenes[scene]
    for task in played.tasks.values():
        answer = agreed(stage.request("GET", f"{played.number}/logs", params={"job": task.job}))
        assert answer.content == task.log_bytes(), task.job
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_log_of_20000_lines_is_whole_and_resumable(stage: Stage) -> None:
    whole = stage.scenes["big"].task.log_bytes()
    assert whole.count(b"\n") > BIG
    number = stage.scenes["big"].number
    url = f"{stage.proxy.url}/api/v1/repos/{stage.server.repo()}/actions/runs/{number}/logs"
    headers = {"Authorization": f"token {stage.server.tokens['reader']}", "Range": f"bytes={len(whole) // 2}-"}
    part = requests.get(url, headers=headers, timeout=30)
    assert (part.status_code, part.content) == (206, whole[len(whole) // 2 :])


def test_why_there_is_no_log(stage: Stage) -> None:
    for scene, job, reason in (
        ("waiting", "lonely", "not started"),
        ("needs", "second", "never started"),
        ("green", "9", "no job 9"),
        ("green", "nope", "no job named"),
    ):
        answer = stage.of(scene, f"logs?job={job}")
        assert answer.status_code == 404 and reason in answer.json()["message"], (scene, answer.text)


def test_a_job_whose_runner_uploaded_no_log(stage: Stage) -> None:
    number = stage.server.push("again.yml", "mute")
    task = stage.server.take(number)
    stage.server.runner.update(task, result="success")
    answer = stage.request("GET", f"{number}/logs")
    assert answer.status_code == 404 and "never uploaded a log" in answer.json()["message"]


def test_a_job_that_was_taken_but_has_said_nothing(stage: Stage) -> None:
    number = stage.server.push("again.yml", "silent")
    waiting = eventually(lambda: _waits(stage, number))
    assert waiting is not None
    task = stage.server.take(number)
    stage.server.runner.update(task)
    answer = stage.request("GET", f"{number}/logs")
    assert answer.status_code == 404 and "no log lines yet" in answer.json()["message"]
    busy = stage.request("POST", f"by-number/{number}/rerun", "writer")
    assert busy.status_code == 409 and "not done" in busy.json()["message"]
    finish(stage.server, task)
    assert agreed(stage.request("GET", f"{number}/logs")).content == task.log_bytes()


def _waits(stage: Stage, number: int) -> bool | None:
    """Whether the run is there and none of its jobs has begun."""
    answer = stage.request("GET", f"{number}/logs")
    return True if answer.status_code == 404 and "not started" in answer.json()["message"] else None


# --- runs and jobs ---


@pytest.mark.parametrize(
    ("scene", "status", "done"),
    [
        ("green", "success", True),
        ("failed", "failure", True),
        ("needs", "failure", True),
        ("matrix", "success", True),
        ("running", "running", False),
        ("waiting", "waiting", False),
    ],
)
def test_the_state_of_a_run(stage: Stage, scene: str, status: str, done: bool) -> None:
    run = stage.read_of(scene, "summary")["run"]
    assert (run["status"], run["done"]) == (status, done)
    assert run["conclusion"] == (status if done else None)
    assert (run["rerunnable"], run["cancellable"]) == (done, not done)


def test_a_cancelled_run(stage: Stage) -> None:
    """Before v11 a run whose jobs were cancelled reads `failure`; its jobs say what happened."""
    run = stage.read_of("cancelled", "summary")
    assert run["run"]["conclusion"] == ("cancelled" if stage.major >= 11 else "failure")
    assert run["counts"] == {"cancelled": 1}


def test_info_of_a_green_run(stage: Stage) -> None:
    run = stage.read(f"by-number/{stage.scenes['green'].number}")
    assert run["run_number"] == stage.scenes["green"].number
    assert (run["display_title"], run["workflow_id"]) == (TITLE, "ci.yml")
    assert (run["head_branch"], run["actor"]) == ("main", stage.server.users["owner"])
    assert len(run["head_sha"]) == 40
    assert run["event"] in ("push", None)


def test_jobs_and_steps(stage: Stage) -> None:
    jobs = stage.read_of("failed", "jobs")["jobs"]
    assert [job["name"] for job in jobs] == ["build", "test", "lint (mypy)"]
    assert [job["conclusion"] for job in jobs] == ["success", "failure", "success"]
    (job,) = stage.read_of("failed", "jobs?job=test")["jobs"]
    assert [step["name"] for step in job["steps"]] == ["Set up job", "unit", "integration", "Complete job"]
    assert [step["conclusion"] for step in job["steps"]][1:3] == ["success", "failure"]
    matrix = stage.read_of("matrix", "jobs")["jobs"]
    assert [job["name"] for job in matrix] == ["package (bookworm)", "package (trixie)"]
    assert [job["status"] for job in stage.read_of("needs", "jobs")["jobs"]] == ["failure", "skipped"]


def test_fields_are_null_where_the_table_says_and_nowhere_else(
    stage: Stage, record_property: pytest.RecordProperty
) -> None:
    run = stage.read(f"by-number/{stage.scenes['green'].number}")
    (job,) = stage.read_of("green", "jobs?job=build&steps=true")["jobs"]
    found = {
        what: {field for field, value in object_.items() if value is None}
        for what, object_ in (("run", run), ("job", job), ("step", job["steps"][1]))
    }
    record_property("null", " ".join(f"{what}.{field}" for what in found for field in sorted(found[what])))
    tables = {"run": nulls.RUN, "job": nulls.JOB, "step": nulls.STEP}
    assert found == {what: nulls.untold(table, stage.server.version) for what, table in tables.items()}


def test_summary_names_the_failed_step(stage: Stage) -> None:
    summary = stage.read_of("failed", "summary")
    (failed,) = summary["failed_jobs"]
    assert failed["name"] == "test"
    assert "integration" in [step["name"] for step in failed["failed_steps"]]
    assert summary["counts"] == {"success": 2, "failure": 1}
    assert stage.read_of("needs", "summary")["counts"] == {"failure": 1, "skipped": 1}


def test_artifacts_of_a_run(stage: Stage) -> None:
    (artifact,) = stage.read_of("artifacts", "summary")["artifacts"]
    assert (artifact["name"], artifact["status"]) == ("report", "completed")
    assert artifact["size_in_bytes"] == len(files())


def test_the_newest_run_of_a_workflow_is_that_of_any_branch(stage: Stage) -> None:
    """Forgejo's own `latest` of a workflow would look at the default branch, where this one never ran."""
    run = stage.read("latest?workflow_id=feature.yml")
    assert (run["run_number"], run["head_branch"]) == (stage.scenes["feature"].number, "feature/x")
    assert stage.read("latest?workflow_id=ci.yml")["run_number"] == stage.scenes["failed"].number


def test_what_does_not_exist(stage: Stage) -> None:
    for path in ("999/logs", "999/jobs", "by-number/999", "latest?workflow_id=nope.yml", "1/logs?attempt=9"):
        assert stage.request("GET", path).status_code == 404, path
    for path in ("0/logs", "by-number/0", "x/summary"):
        assert stage.request("GET", path).status_code == 400, path


# --- access ---


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [
        ("stranger", 404, 404),
        (None, 404, 404),
        ("owner-issue", 403, 403),
        ("reader", 200, 403),
        ("owner-read", 200, 403),
    ],
)
def test_access_to_a_private_repository(stage: Stage, role: str | None, read: int, write: int) -> None:
    assert stage.of("deploy", "logs", role).status_code == read
    assert stage.of("deploy", "rerun", role, "POST").status_code == write


def test_a_public_only_token_does_not_read_a_private_repository(stage: Stage) -> None:
    assert stage.of("deploy", "logs", "owner-public").status_code in (403, 404)
    assert stage.of("deploy", "rerun", "owner-public", "POST").status_code in (403, 404)


@pytest.mark.parametrize(("role", "write"), [("stranger", (403,)), (None, (401, 403)), ("reader", (403,))])
def test_access_to_a_public_repository(stage: Stage, role: str | None, write: tuple[int, ...]) -> None:
    scene = stage.scenes["public"]
    read = stage.request("GET", f"{scene.number}/logs", role, repo=PUBLIC)
    assert (read.status_code, read.content) == (200, scene.task.log_bytes())
    assert stage.request("POST", f"{scene.number}/rerun", role, repo=PUBLIC).status_code in write


def test_a_running_jobs_own_token(stage: Stage) -> None:
    """It reads and reruns runs of its own repository, and sees no other; it ends with the job."""
    server = stage.server
    done = server.push("again.yml", "rerun by a job")
    finish(server, server.take(done))
    number = server.push("stop.yml", "the job that asks")
    task = server.take(number)
    server.runner.update(task)
    server.tokens["job"] = task.context["token"]
    assert stage.request("GET", f"{done}/logs", "job").status_code == 200
    assert stage.request("GET", f"{stage.scenes['public'].number}/logs", "job", repo=PUBLIC).status_code == 404
    assert stage.request("POST", f"{stage.scenes['public'].number}/rerun", "job", repo=PUBLIC).status_code == 404
    assert stage.request("POST", f"by-number/{done}/rerun", "job").status_code == 201
    finish(server, server.take(done))
    finish(server, task)
    assert stage.request("GET", f"{done}/logs", "job").status_code == 401


def test_an_archived_repository_is_read_only(stage: Stage) -> None:
    scene = stage.scenes["public"]
    stage.server.change(PUBLIC, archived=True)
    try:
        assert agreed(stage.request("GET", f"{scene.number}/logs", repo=PUBLIC)).content == scene.task.log_bytes()
        refused = stage.request("POST", f"{scene.number}/rerun", "writer", repo=PUBLIC)
        assert refused.status_code == 409 and "archived" in refused.json()["message"]
    finally:
        stage.server.change(PUBLIC, archived=False)


@pytest.mark.parametrize("role", ["owner", "reader", None])
def test_a_repository_without_actions(stage: Stage, role: str | None) -> None:
    number = stage.scenes["public"].number
    stage.server.change(PUBLIC, has_actions=False)
    try:
        for method, path in (("GET", "logs"), ("GET", "jobs"), ("POST", "rerun")):
            answer = stage.request(method, f"{number}/{path}", role, repo=PUBLIC)
            assert answer.status_code in (401, 403, 404), (path, answer.text)
    finally:
        stage.server.change(PUBLIC, has_actions=True)


# --- attempts ---


def test_rerun_and_attempts(stage: Stage) -> None:
    server = stage.server
    number = server.push("again.yml", "twice")
    first = server.take(number)
    finish(server, first, failing=True)
    assert agreed(stage.request("POST", f"by-number/{number}/rerun", "writer")).status_code == 201
    again = stage.request("POST", f"by-number/{number}/rerun", "writer")
    assert again.status_code == 409
    hidden = stage.request("GET", f"{number}/logs?attempt=latest")
    assert hidden.status_code == 404 and "not started" in hidden.json()["message"]
    second = server.take(number)
    server.runner.play(second, "success", [["this time it works"]])
    assert first.log_bytes() != second.log_bytes()
    assert agreed(stage.request("GET", f"{number}/logs?attempt=latest")).content == second.log_bytes()
    default = stage.request("GET", f"{number}/logs")
    assert default.content == (first if stage.major >= 13 else second).log_bytes()
    one = stage.request("GET", f"{number}/logs?attempt=1")
    if stage.major >= 13:
        assert one.content == first.log_bytes()
    else:
        assert one.status_code == 404 and "before v13" in one.json()["message"]


def test_a_rerun_of_one_job(stage: Stage) -> None:
    server = stage.server
    number = server.push("matrix.yml", "one of two")
    tasks = {task.job: task for task in (server.take(number), server.take(number))}
    for name, task in tasks.items():
        finish(server, task, failing=name == "package (trixie)")
    answer = agreed(stage.request("POST", f"by-number/{number}/rerun", "writer", params={"job": "package (trixie)"}))
    assert [job["name"] for job in answer.json()["jobs"]] == ["package (trixie)"]
    second = server.take(number)
    assert second.job == "package (trixie)"
    finish(server, second)
    assert stage.read(f"{number}/summary")["run"]["conclusion"] == "success"
