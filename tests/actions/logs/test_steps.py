"""A step's lines are those that Forgejo's page shows of it, and the lines of no other step."""

from __future__ import annotations

from typing import Any

import requests

from tests.conftest import Target
from tests.double import JobSpec
from tests.support.sample import Sample


def ask(target: Target, demo: Sample, job: Any, tail: str) -> requests.Response:
    return target.request("GET", f"{demo.base}/{job.run.index}/{tail}", demo.reader)


def step_lines(target: Target, demo: Sample, job: Any) -> list[bytes]:
    """What `step=N` gives, for each step."""
    steps = ask(target, demo, job, "jobs/0").json()["steps"]
    return [ask(target, demo, job, f"logs?step={step['number']}").content for step in steps]


def cancelled_in_the_first_step(target: Target, demo: Sample) -> Any:
    """ "Set up job" then has the whole log, and the cancelled step its own lines again."""
    world = target.world
    job = world.run(demo.repo, jobs=[JobSpec("job", steps=["one", "two"])]).jobs[0]
    world.pick(job)
    world.log(job, "set up")
    world.step(job, 0, "running")
    for number in range(3):
        world.log(job, f"one {number}")
    world.cancel(job.run)
    return job


def test_the_first_step_of_a_cancelled_job(target: Target, demo: Sample) -> None:
    job = cancelled_in_the_first_step(target, demo)
    lines = job.log_bytes().splitlines(keepends=True)
    assert step_lines(target, demo, job) == [b"".join(lines), b"".join(lines[1:]), b"", b""]
    ranges = [step["log_lines"] for step in ask(target, demo, job, "jobs/0").json()["steps"]]
    assert ranges == [{"first": 1, "last": 4}, {"first": 2, "last": 4}, None, None]


def test_lines_between_two_steps_belong_to_none(target: Target, demo: Sample) -> None:
    """A late line of the first step comes after its end. "Complete job" begins where Forgejo's sum says."""
    world = target.world
    job = world.run(demo.repo, jobs=[JobSpec("job", steps=["one", "two"])]).jobs[0]
    world.pick(job)
    world.log(job, "set up")
    world.step(job, 0, "running")
    world.log(job, "one")
    world.step(job, 0, "success")
    world.log(job, "late")
    world.step(job, 1, "running")
    world.log(job, "two")
    world.step(job, 1, "failure")
    world.log(job, "complete")
    world.finish(job, "failure")
    lines = job.log_bytes().splitlines(keepends=True)
    assert step_lines(target, demo, job) == [lines[0], lines[1], lines[3], lines[3] + lines[4]]
    assert ask(target, demo, job, "logs?failed_steps=true&job=0").content == lines[3]
    assert ask(target, demo, job, "logs?step=4&tail=1").content == lines[4]


def test_a_job_without_a_failed_step_says_so(target: Target, demo: Sample) -> None:
    job = demo.runs["green"].jobs[0]
    one = ask(target, demo, job, "logs?failed_steps=true&job=0")
    assert (one.status_code, one.json()["message"]) == (404, "no step of job 0 (build) failed (success)")
    several = ask(target, demo, job, "logs?failed_steps=true&job=all").text
    assert several.startswith("==> build (0) · success <==\n(no step of job 0 (build) failed (success))\n")
    assert "green" not in several


def test_unsuccessful_jobs(target: Target, demo: Sample) -> None:
    """Failed and cancelled ones, in logs and in a rerun, which says what it leaves out."""
    world = target.world
    run = world.run(demo.repo, jobs=[JobSpec("good"), JobSpec("bad"), JobSpec("stopped")])
    good, bad, stopped = run.jobs
    world.play(good)
    world.play(bad, "failure", [["bad"]])
    world.pick(stopped)
    world.log(stopped, "stopped")
    world.cancel(run)
    text = ask(target, demo, bad, "logs?job=unsuccessful&timestamps=false").text
    assert text == "==> bad (1) · failure <==\nbad\n\n==> stopped (2) · cancelled <==\nstopped\n"
    path = f"{demo.base}/{run.index}/rerun?job="
    told = target.request("POST", f"{path}failed&dry_run=true", demo.writer).json()
    assert [each["name"] for each in told["jobs"]] == ["bad"]
    assert told["message"] == "not rerun, since they were cancelled: 2 (stopped); job=unsuccessful includes them"
    told = target.request("POST", f"{path}unsuccessful", demo.writer).json()
    assert ([each["name"] for each in told["jobs"]], told["message"]) == (["bad", "stopped"], None)


def test_whether_a_log_is_complete(target: Target, demo: Sample) -> None:
    job = demo.runs["green"].jobs[0]
    assert ask(target, demo, job, "logs").headers["X-Actions-Log-Complete"] == "true"
    job = cancelled_in_the_first_step(target, demo)
    told = ask(target, demo, job, "logs").headers.get("X-Actions-Log-Complete")
    assert told == ("false" if target.number >= 13 else None)


def test_a_log_too_large_to_tell_its_steps(target: Target, demo: Sample) -> None:
    """Forgejo is not asked to load it."""
    job = target.world.run(demo.repo, jobs=[JobSpec("big")]).jobs[0]
    target.world.big_log(job, 65 << 20)
    target.double.forget_requests()
    answer = ask(target, demo, job, "logs?step=2")
    assert answer.status_code == 404 and "has 65 MiB: its steps are told apart up to 64 MiB" in answer.json()["message"]
    asked = [seen for seen in target.double.requests_by_session() if f"/{demo.repo.full_name}/" in seen.path]
    assert all(seen.method == "GET" or target.number < 13 for seen in asked)
    assert [seen.headers["Range"] for seen in asked if seen.path.endswith("/logs")] == ["bytes=-1"]
