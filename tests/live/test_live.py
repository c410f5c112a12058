"""The contract on a real Forgejo: what the scripted runner wrote is what the proxy serves."""

from __future__ import annotations

import pytest

from tests.live.conftest import Live
from tests.live.world import eventually

pytestmark = pytest.mark.live


def test_logs_are_byte_for_byte_what_the_runner_wrote(live: Live) -> None:
    for task in [*live.green, *live.failed]:
        answer = live.request("GET", f"{task.run_number}/logs", params={"job": task.job})
        assert (answer.status_code, answer.content) == (200, task.log_bytes()), task.job


def test_info_of_a_green_run(live: Live) -> None:
    run = live.request("GET", "by-number/1").json()
    assert (run["run_number"], run["status"], run["conclusion"], run["done"]) == (1, "success", "success", True)
    assert (run["display_title"], run["workflow_id"]) == ('add <b>ci</b> "quoted" ✓', "ci.yml")
    assert (run["head_branch"], run["actor"]) == ("main", live.world.users["owner"])
    assert len(run["head_sha"]) == 40
    assert run["event"] == ("push" if live.world.major >= 9 else None)
    assert (run["created_at"] is not None) == (live.world.major >= 12)


def test_jobs_and_steps(live: Live) -> None:
    jobs = live.request("GET", "2/jobs").json()
    assert [job["name"] for job in jobs["jobs"]] == ["build", "test", "lint (mypy)"]
    assert [job["conclusion"] for job in jobs["jobs"]] == ["success", "failure", "success"]
    (job,) = live.request("GET", "2/jobs?job=test").json()["jobs"]
    assert [step["name"] for step in job["steps"]] == ["Set up job", "unit", "integration", "Complete job"]
    assert [step["conclusion"] for step in job["steps"]][1:3] == ["success", "failure"]


def test_summary_names_the_failed_step(live: Live) -> None:
    summary = live.request("GET", "2/summary").json()
    (failed,) = summary["failed_jobs"]
    assert failed["name"] == "test"
    assert "integration" in [step["name"] for step in failed["failed_steps"]]
    assert summary["counts"] == {"success": 2, "failure": 1}


def test_what_does_not_exist(live: Live) -> None:
    for path in ("1/logs?job=9", "999/logs", "999/jobs", "latest?workflow_id=nope.yml", "1/logs?attempt=9"):
        assert live.request("GET", path).status_code == 404, path
    assert live.request("GET", "0/logs").status_code == 400


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
def test_access(live: Live, role: str | None, read: int, write: int) -> None:
    assert live.request("GET", "1/logs", role).status_code == read
    assert live.request("POST", "1/rerun", role).status_code == write


def test_rerun_and_attempts(live: Live) -> None:
    world = live.world
    first = next(task for task in live.failed if task.job == "ship")
    answer = live.request("POST", f"{first.run_number}/rerun", "writer")
    assert answer.status_code == 201, answer.text
    again = live.request("POST", f"{first.run_number}/rerun", "writer")
    assert again.status_code == 409
    hidden = live.request("GET", f"{first.run_number}/logs?attempt=latest")
    assert hidden.status_code == 404 and "not started" in hidden.json()["message"]
    (second,) = world.play(1)
    newest = live.request("GET", f"{first.run_number}/logs?attempt=latest")
    assert newest.content == second.log_bytes()
    default = live.request("GET", f"{first.run_number}/logs")
    assert default.content == (first if world.major >= 13 else second).log_bytes()
    live.failed[live.failed.index(first)] = first if world.major >= 13 else second


def test_a_running_job_on_a_branch(live: Live) -> None:
    world = live.world
    world.commit("x.txt", "x", "work on a branch", new_branch="feature/x")
    task = world.task()
    logs = f"{task.run_number}/logs?job={task.job}"
    waiting = live.request("GET", logs)
    assert waiting.status_code == 404 and "no log lines yet" in waiting.json()["message"]
    world.runner.update(task)
    world.runner.log(task, ["half", "a log"])
    assert live.request("GET", logs).content == task.log_bytes()
    newest = eventually(lambda: _number_if_branch(live, "ci.yml"))
    assert newest is not None
    busy = live.request("POST", f"{newest}/rerun", "writer")
    assert busy.status_code == 409 and "not done" in busy.json()["message"]
    info = live.request("GET", f"by-number/{newest}").json()
    assert (info["done"], info["conclusion"], info["head_branch"]) == (False, None, "feature/x")
    world.runner.update(task, result="cancelled")


def _number_if_branch(live: Live, workflow: str) -> int | None:
    """The newest run of a workflow, if it is that of the branch: on any branch, not just the default one."""
    run = live.request("GET", f"latest?workflow_id={workflow}").json()
    return int(run["run_number"]) if run["head_branch"] == "feature/x" else None
