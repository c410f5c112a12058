"""Finding runs by what they are, waiting for them, and their steps: the contract, on every server in the same words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.live.conftest import Stage
from tests.live.scenes import finish
from tests.live.server import eventually


def latest(stage: Stage, **filters: str) -> Any:
    answer = stage.request("GET", "latest", params=filters)
    assert answer.status_code == 200, (filters, answer.text)
    return answer.json()


def test_runs_are_found_by_what_they_are(stage: Stage) -> None:
    numbers = {name: scene.number for name, scene in stage.scenes.items()}
    green = stage.request("GET", f"by-number/{numbers['green']}").json()
    owner = stage.server.users["owner"]
    for filters, scene in (
        ({"branch": "feature/x"}, "feature"),
        ({"head_sha": green["head_sha"], "workflow_id": "ci.yml"}, "green"),
        ({"head_sha": green["head_sha"][:8], "workflow_id": "ci.yml"}, "green"),
        ({"status": "failure", "workflow_id": "ci.yml"}, "failed"),
        ({"status": "success", "workflow_id": "ci.yml", "branch": "main"}, "green"),
        ({"status": "waiting", "workflow_id": "unserved.yml"}, "waiting"),
        ({"actor": owner, "workflow_id": "needs.yml"}, "needs"),
        ({"actor": owner.upper(), "branch": "main", "workflow_id": "files.yml", "status": "success"}, "artifacts"),
    ):
        assert latest(stage, **filters)["run_number"] == numbers[scene], filters
    cancelled = "cancelled" if stage.major >= 11 else "failure"
    stopped = latest(stage, status=cancelled, workflow_id="stop.yml")  # by another test, perhaps
    assert (stopped["status"], stopped["workflow_id"]) == (cancelled, "stop.yml")
    assert stopped["run_number"] >= numbers["cancelled"]
    for filters in ({"branch": "nowhere"}, {"actor": "stranger"}, {"head_sha": "0" * 40}, {"status": "skipped"}):
        answer = stage.request("GET", "latest", params=filters)
        (name, value), *_ = filters.items()
        assert answer.status_code == 404 and f"{name}={value}" in answer.json()["message"]


def test_runs_are_found_by_their_event(stage: Stage) -> None:
    answer = stage.request("GET", "latest?event=push&workflow_id=ci.yml")
    if stage.major < 9:
        assert answer.status_code == 400 and "before v9" in answer.json()["message"]
        return
    assert (answer.json()["run_number"], answer.json()["event"]) == (stage.scenes["failed"].number, "push")
    assert stage.request("GET", "latest?event=schedule").status_code == 404


def test_the_run_of_a_push_is_waited_for_to_its_end(stage: Stage) -> None:
    server = stage.server
    with ThreadPoolExecutor() as pool:
        waits = [
            pool.submit(stage.request, "GET", f"latest{tail}?branch=awaited&wait=60{more}")
            for tail, more in (("", ""), ("/jobs", ""), ("/jobs/ship", ""), ("/summary", "&wait_for=started"))
        ]
        number = server.push("awaited.yml", "awaited", branch="awaited")
        task = server.take(number)
        server.runner.update(task)
        started = waits[3].result().json()["run"]
        assert (started["run_number"], started["status"], started["done"]) == (number, "running", False)
        assert not any(each.done() for each in waits[:3])
        finish(server, task, failing=True)
        run, jobs, job, _ = (each.result().json() for each in waits)
    assert (run["run_number"], run["done"], run["conclusion"]) == (number, True, "failure")
    assert (jobs["done"], jobs["jobs"][0]["status"]) == (True, "failure")
    assert (job["done"], job["conclusion"], job["run_number"]) == (True, "failure", number)


def test_a_wait_ends_with_the_present_state(stage: Stage) -> None:
    assert stage.of("running", "jobs?wait=1").json()["done"] is False
    number = stage.scenes["waiting"].number
    run = stage.request("GET", f"by-number/{number}?wait=1&wait_for=started").json()
    assert (run["status"], run["done"]) == ("waiting", False)


@pytest.mark.parametrize("job", ["build", "test"])
def test_the_lines_of_a_step(stage: Stage, job: str) -> None:
    """Where they are in the log is told, and all of the log belongs to some step."""
    told = stage.of("failed", f"jobs/{job}").json()
    log = stage.of("failed", f"logs?job={job}").content.decode().split("\n")[:-1]
    lines = {step["name"]: step["log_lines"] for step in told["steps"]}
    covered = [number for each in lines.values() if each for number in range(each["first"], each["last"] + 1)]
    assert covered == list(range(1, len(log) + 1))
    for step in [name for name in lines if name not in ("Set up job", "Complete job")]:
        assert log[lines[step]["first"] - 1].endswith(f"{job}: {step}")
    every = stage.of("failed", "jobs?steps=true").json()["jobs"]
    assert [len(each["steps"]) for each in every] == [4, 4, 3]


def test_the_list_of_runs(stage: Stage) -> None:
    """Before v12 the extension's, from then on Forgejo's own."""
    answer = stage.request("GET", "?limit=50")
    found = answer.json()
    assert answer.status_code == 200 and ("X-Actions-Extension" in answer.headers) == (stage.major < 12)
    name = "run_number" if stage.major < 12 else "index_in_repo"
    numbers = [run[name] for run in found["workflow_runs"]]
    assert set(numbers) >= {scene.number for name, scene in stage.scenes.items() if name != "public"}
    if stage.major < 12:
        assert numbers == sorted(numbers, reverse=True) and found["total_count"] == len(numbers)
        pages = [stage.request("GET", f"?limit=4&page={page}").json() for page in range(1, 8)]
        paged = [run["run_number"] for page in pages for run in page["workflow_runs"]]
        assert paged[: len(numbers)] == numbers[: len(paged)] and pages[0]["total_count"] == len(numbers)
        ci = stage.request("GET", "?workflow_id=ci.yml&status=failure").json()
        assert [run["run_number"] for run in ci["workflow_runs"]] == [stage.scenes["failed"].number]
        assert ci["workflow_runs"][0]["conclusion"] == "failure"


def test_the_attempts_of_a_run(stage: Stage) -> None:
    answer = stage.of("failed", "attempts")
    if stage.major < 13:
        assert answer.status_code == 404 and "before v13" in answer.json()["message"]
        return
    jobs = answer.json()["jobs"]
    assert [(job["name"], len(job["attempts"])) for job in jobs] == [("build", 1), ("test", 1), ("lint (mypy)", 1)]
    assert jobs[1]["attempts"][0]["conclusion"] == "failure" and jobs[1]["attempts"][0]["started_at"]


def test_a_database_id_is_no_run_number(stage: Stage) -> None:
    """Forgejo's ids are of the whole server: that of a run is no number here, or another run's."""
    run = stage.request("GET", f"by-number/{stage.scenes['feature'].number}").json()
    if stage.major < 12 or run["id"] <= 100:  # untold, or perhaps a number as well
        return
    answer = stage.request("GET", f"{run['id']}/summary")
    assert answer.status_code == 404
    assert f"database id of run {run['run_number']}" in answer.json()["message"]


def test_waiting_for_nothing(stage: Stage) -> None:
    """A run that never comes, asked for by several."""
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(stage.request, "GET", "latest?branch=never&wait=2") for _ in range(3)]
        assert {each.result().status_code for each in asked} == {404}
    assert eventually(lambda: stage.request("GET", "latest").status_code) == 200
