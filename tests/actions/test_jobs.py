"""Jobs with their steps, one job, and attempts, on every version."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.actions.test_reading import JOB_FIELDS
from tests.conftest import Target
from tests.double import JobSpec
from tests.support.sample import Sample

pytestmark = pytest.mark.more_versions

STEP_FIELDS = {"number", "name", "status", "conclusion", "started_at", "duration_seconds", "log_lines"}


def ask(target: Target, demo: Sample, tail: str, **query: Any) -> Any:
    return target.request("GET", f"{demo.base}/{tail}", demo.reader, params=query)


def test_all_jobs_with_their_steps(target: Target, demo: Sample) -> None:
    plain = ask(target, demo, "2/jobs").json()
    assert all(job["steps"] is None for job in plain["jobs"])
    told = ask(target, demo, "2/jobs", steps="true").json()
    assert (told["total_count"], told["done"]) == (4, True)
    names = [[step["name"] for step in job["steps"]] for job in told["jobs"]]
    assert names[0] == ["Set up job", "compile", "pack", "Complete job"]
    assert names[1] == ["Set up job", "unit", "integration", "Complete job"]
    assert names[2] == names[3] == ["Set up job", "lint", "Complete job"]
    assert all(set(step) == STEP_FIELDS for job in told["jobs"] for step in job["steps"])
    failed = [step["name"] for step in told["jobs"][1]["steps"] if step["conclusion"] == "failure"]
    assert failed
    skipped = [step["name"] for step in told["jobs"][1]["steps"] if step["conclusion"] == "skipped"]
    assert skipped == (["integration"] if failed[0] == "unit" else [])


def test_a_steps_lines_are_those_of_the_log(target: Target, demo: Sample) -> None:
    world = target.world
    run = world.run(demo.repo, jobs=[JobSpec("job", steps=["quiet", "loud", "last"])])
    world.play(run.jobs[0], "success", [["setup"], [], ["one", "two", "three"], ["end"], ["bye", "bye"]])
    (job,) = ask(target, demo, f"{run.index}/jobs", job=0, steps="true").json()["jobs"]
    assert ask(target, demo, f"{run.index}/jobs", job=0).json()["jobs"][0]["steps"][0]["log_lines"] is None
    log = ask(target, demo, f"{run.index}/logs").text.splitlines()
    found = {
        step["name"]: [
            line.partition(" ")[2] for line in log[step["log_lines"]["first"] - 1 : step["log_lines"]["last"]]
        ]
        for step in job["steps"]
        if step["log_lines"]
    }
    assert found == {
        "Set up job": ["setup"],
        "loud": ["one", "two", "three"],
        "last": ["end"],
        "Complete job": ["bye", "bye"],
    }
    assert next(step for step in job["steps"] if step["name"] == "quiet")["log_lines"] is None


def test_lines_are_null_without_a_log(target: Target, demo: Sample) -> None:
    job = demo.runs["deploy"].jobs[0]
    assert ask(target, demo, "3/jobs/0").json()["steps"][1]["log_lines"]
    target.world.expire_logs(job)
    answer = ask(target, demo, "3/jobs/0")
    assert answer.status_code == 200
    assert [step["log_lines"] for step in answer.json()["steps"]] == [None] * 3
    run = target.world.run(demo.repo, jobs=[JobSpec("waits")])
    assert ask(target, demo, f"{run.index}/jobs/0").json()["steps"] == []


@pytest.mark.parametrize("run", ["2", "by-number/2", "latest"])
def test_one_job_by_index_or_name(target: Target, demo: Sample, run: str) -> None:
    query = {"status": "failure"} if run == "latest" else {}
    for job in ("1", "test"):
        told = ask(target, demo, f"{run}/jobs/{job}", **query).json()
        assert set(told) == JOB_FIELDS | {"done"}
        assert (told["index"], told["name"], told["run_number"], told["done"]) == (1, "test", 2, True)
        assert told["steps"][0]["log_lines"] == {"first": 1, "last": 1}
        assert told["attempt"] == (1 if target.number >= 13 else None)
    named = ask(target, demo, f"{run}/jobs/{quote('lint (ruff)', safe='')}", **query).json()
    assert named["index"] == 3


def test_a_job_of_any_name(target: Target, demo: Sample) -> None:
    names = ["a/b", "..", "ünï ✓", "%2f", "jobs", "x?y#z&", "7"]
    run = target.world.run(demo.repo, jobs=[JobSpec(name) for name in names])
    for index, name in enumerate(names[:-1]):
        answer = ask(target, demo, f"by-number/{run.index}/jobs/{quote(name, safe='').replace('.', '%2E')}")
        assert answer.status_code == 200, (name, answer.text)
        assert answer.json()["index"] == index
    assert "no job 7" in ask(target, demo, f"{run.index}/jobs/7").json()["message"]


def test_jobs_that_do_not_exist(target: Target, demo: Sample) -> None:
    for job, said in (("9", "no job 9"), ("nope", "no job named"), ("build%20", "no job named")):
        answer = ask(target, demo, f"2/jobs/{job}")
        assert answer.status_code == 404 and said in answer.json()["message"], answer.text
    assert ask(target, demo, "2/jobs/99999999").status_code == 400
    assert ask(target, demo, "2/jobs/1", job="1").status_code == 400
    assert target.request("POST", f"{demo.base}/2/jobs/1", demo.owner).status_code == 405


def test_too_many_jobs(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec(f"j{number}") for number in range(101)])
    tails = ("jobs?steps=true", "logs?job=all", "logs?format=zip", "logs?job=all&follow=true", "attempts")
    for tail in tails if target.number >= 13 else tails[:-1]:
        answer = target.request("GET", f"{demo.base}/{run.index}/{tail}", demo.reader)
        assert answer.status_code == 400 and "more than 100" in answer.json()["message"], (tail, answer.text[:200])
    assert ask(target, demo, f"{run.index}/jobs").json()["total_count"] == 101


def test_attempts(target: Target, demo: Sample) -> None:
    world, job = target.world, demo.runs["deploy"].jobs[0]
    assert target.request("POST", f"{demo.base}/3/rerun", demo.writer).status_code == 201
    world.play(job, "failure", [["again"]])
    answer = ask(target, demo, "3/attempts")
    if target.number < 13:
        assert answer.status_code == 404 and "before v13" in answer.json()["message"]
        return
    told = answer.json()
    (first,) = told["jobs"]
    assert (told["total_count"], first["name"], first["status"]) == (1, "ship", "failure")
    assert [(each["number"], each["status"]) for each in first["attempts"]] == [(1, "success"), (2, "failure")]
    assert all(each["started_at"].endswith("Z") for each in first["attempts"])
    one = first["attempts"][0]
    assert target.request("GET", one["logs_url"].removeprefix(target.proxy.url), demo.reader).content == job.log_bytes(
        1
    )
    assert one["html_url"].endswith("/3/jobs/0/attempt/1")


@pytest.mark.parametrize("target", ["v13", "v15", "v17"], indirect=True)
def test_attempts_of_each_job(target: Target, demo: Sample) -> None:
    told = ask(target, demo, "by-number/2/attempts").json()
    assert [(job["index"], len(job["attempts"])) for job in told["jobs"]] == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert ask(target, demo, "2/attempts", job="test").json()["jobs"][0]["index"] == 1
    run = target.world.run(demo.repo, jobs=[JobSpec("waits")])
    (job,) = ask(target, demo, f"{run.index}/attempts").json()["jobs"]
    assert [each["started_at"] for each in job["attempts"]] == ([None] if target.number >= 15 else [])


def test_an_attempt_that_no_runner_took(target: Target, demo: Sample) -> None:
    """A job that Forgejo skips has no attempt of its own; since v15 its rerun is attempt 2 all the same."""
    if target.number < 15:
        return
    run = target.world.run(demo.repo, jobs=[JobSpec("a"), JobSpec("skipped")])
    target.world.play(run.jobs[0], "success")
    target.world.finish(run.jobs[1], "skipped")
    path = f"{demo.base}/by-number/{run.index}"
    assert target.request("POST", f"{path}/rerun?job=skipped", demo.writer).status_code == 201
    target.world.play(run.jobs[1], "success", [["set up"], ["again"]])
    job = target.request("GET", f"{path}/jobs/1", demo.reader).json()
    assert (job["attempt"], job["attempts"]) == (2, 2)
    first = target.request("GET", f"{path}/logs?job=1&attempt=1", demo.reader)
    assert first.status_code == 404 and "Forgejo ended it without a runner" in first.json()["message"]
    assert "attempts with a log: 2" in first.json()["message"]
    second = target.request("GET", f"{path}/logs?job=1&attempt=2&timestamps=false", demo.reader)
    assert "again" in second.text
    third = target.request("GET", f"{path}/logs?job=1&attempt=3", demo.reader)
    assert third.status_code == 404 and "has no attempt 3; attempts: 2" in third.json()["message"]
