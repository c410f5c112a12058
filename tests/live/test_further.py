"""The routes beyond the first: runs found by filters, parts of logs, followed logs, steps, artifacts, cancelling."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import Stage, agreed
from tests.live.scenes import ODD_LINES, files, finish
from tests.live.server import eventually


@pytest.mark.parametrize(
    ("scene", "filters"),
    [
        ("feature", {"branch": "feature/x"}),
        ("running", {"status": "running"}),
        ("waiting", {"status": "waiting"}),
        ("failed", {"workflow_id": "ci.yml", "status": "failure"}),
        ("green", {"workflow_id": "ci.yml", "status": "success"}),
        ("feature", {"branch": "feature/x", "status": "completed"}),
    ],
)
def test_a_filter_finds_the_newest_run_that_fits(stage: Stage, scene: str, filters: dict[str, str]) -> None:
    assert stage.read("latest", params=filters)["run_number"] == stage.scenes[scene].number


def test_a_run_is_found_by_its_commit(stage: Stage) -> None:
    run = stage.read(f"by-number/{stage.scenes['deploy'].number}")
    for sha in (run["head_sha"], run["head_sha"][:10]):
        assert stage.read("latest", params={"head_sha": sha})["run_number"] == run["run_number"]


def test_the_event_is_the_workflows_word(stage: Stage) -> None:
    answer = stage.request(
        "GET", "latest", params={"event": "push", "workflow_id": "feature.yml", "branch": "feature/x"}
    )
    if stage.major >= 9:
        assert agreed(answer).json()["run_number"] == stage.scenes["feature"].number
    else:
        assert answer.status_code == 400, answer.text


def test_the_lines_of_each_step(stage: Stage) -> None:
    job = stage.read_of("failed", "jobs/test")
    lines = [step["log_lines"] for step in job["steps"]]
    one = 1 + len(ODD_LINES)
    ends = [1, 1 + one, 2 + 2 * one, 3 + 2 * one]  # the failing step says one line more
    assert [each["last"] for each in lines] == ends
    assert [each["first"] for each in lines] == [1, *(end + 1 for end in ends[:-1])]


def test_the_end_of_a_log(stage: Stage) -> None:
    scene = stage.scenes["big"]
    tail = agreed(stage.request("GET", f"{scene.number}/logs?tail=3"))
    assert tail.content == b"".join(line + b"\n" for line in scene.task.lines[-3:])


def test_a_followed_log_of_a_finished_job_is_the_log(stage: Stage) -> None:
    scene = stage.scenes["deploy"]
    end = f"==> {scene.task.job} (0) · success <==\n".encode()
    assert agreed(stage.request("GET", f"{scene.number}/logs?follow=true")).content == scene.task.log_bytes() + end


def test_a_running_log_is_followed_to_its_end(stage: Stage) -> None:
    server = stage.server
    number = server.push("again.yml", "followed")
    task = server.take(number)
    server.runner.update(task)
    server.runner.log(task, ["the first line"])
    answer = agreed(stage.request("GET", f"{number}/logs?follow=true", stream=True))
    parts = answer.iter_content(None)
    heard = next(parts)
    server.runner.log(task, ["the last line"], last=True)
    server.runner.update(task, result="success")
    assert heard + b"".join(parts) == task.log_bytes() + f"==> {task.job} (0) · success <==\n".encode()


def test_an_artifact_comes_as_it_was_uploaded(stage: Stage) -> None:
    number = stage.scenes["artifacts"].number
    (artifact,) = stage.read(f"{number}/artifacts")["artifacts"]
    assert (artifact["name"], artifact["size_in_bytes"]) == ("report", len(files()))
    assert agreed(stage.request("GET", f"{number}/artifacts/report")).content == files()


def test_a_run_is_cancelled(stage: Stage) -> None:
    server = stage.server
    number = server.push("stop.yml", "stopped by request")
    task = server.take(number)
    server.runner.update(task)
    server.runner.log(task, ["begun"])
    assert stage.request("POST", f"by-number/{number}/cancel", "reader").status_code == 403
    agreed(stage.request("POST", f"by-number/{number}/cancel", "writer"))
    assert server.runner.update(task) == "CANCELLED"
    assert stage.read_of("cancelled", "jobs")["jobs"][0]["status"] == "cancelled"
    assert stage.read(f"{number}/jobs")["jobs"][0]["status"] == "cancelled"
    assert stage.request("POST", f"by-number/{number}/cancel", "writer").status_code == 409


def test_attempts_of_a_rerun_job(stage: Stage) -> None:
    server = stage.server
    number = server.push("again.yml", "tried twice")
    finish(server, server.take(number), failing=True)
    agreed(stage.request("POST", f"by-number/{number}/rerun", "writer"))
    finish(server, server.take(number))
    answer = stage.request("GET", f"{number}/attempts?job=0")
    if stage.major < 13:
        assert answer.status_code == 404, answer.text
        return
    (job,) = agreed(answer).json()["jobs"]
    assert [(each["number"], each["status"]) for each in job["attempts"]] == [(1, "failure"), (2, "success")]


def test_a_broken_workflow_file_is_explained(stage: Stage) -> None:
    """In a repository of its own: while a busy Forgejo makes a branch, its file may run three times."""
    stage.server.repository("broken")
    stage.server.push_broken("broken")
    if stage.major < 12:  # then it starts no run
        return
    run = eventually(lambda: first_run(stage, "broken"))
    assert run is not None and (run["workflow_id"], run["status"]) == ("broken.yml", "failure")
    error = run["workflow_error"]
    assert (error["file"], error["line"]) == ("broken.yml", 5 if stage.major >= 13 else None)
    (failed,) = stage.read("1/summary", repo="broken")["failed_jobs"]
    assert error["message"] in failed["problem"]


def first_run(stage: Stage, repo: str) -> Any:
    """The repository's first run, as soon as there is one."""
    answer = stage.request("GET", "by-number/1", repo=repo)
    return answer.json() if answer.status_code == 200 else None
