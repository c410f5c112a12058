"""Which attempt a response shows. After "rerun what failed", nobody gets a log that has since succeeded unasked."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from requests import Response

from tests.conftest import Target
from tests.double import JobSpec
from tests.support.sample import Sample


def ask(target: Target, demo: Sample, tail: str, **kwargs: Any) -> Response:
    return target.request("GET", f"{demo.base}/{tail}", demo.reader, **kwargs)


def follow_url(target: Target, demo: Sample, url: str) -> Response:
    return target.request("GET", url.removeprefix(target.proxy.url), demo.reader)


def rerun(target: Target, demo: Sample, result: str) -> Any:
    """A run of which job 0 succeeded, and job 1 failed at first and then ended so."""
    run = target.world.run(demo.repo, jobs=[JobSpec("build", steps=["make"]), JobSpec("test", steps=["pytest"])])
    target.world.play(run.jobs[0], "success", [["set up"], ["made"]])
    target.world.play(run.jobs[1], "failure", [["set up"], ["1 failed"]])
    answer = target.request("POST", f"{demo.base}/{run.index}/rerun?job=failed", demo.writer)
    assert answer.status_code == 201
    assert follow_url(target, demo, answer.json()["logs_url"]).headers["X-Actions-Job"] == "0"
    target.world.play(run.jobs[1], result, [["set up"], ["once more"]])
    return run


def test_every_url_names_its_attempt(target: Target, demo: Sample) -> None:
    run = rerun(target, demo, "success")
    first, second = run.jobs
    told = ask(target, demo, f"by-number/{run.index}").json()
    assert told["logs_url"].endswith("/logs?attempt=latest")
    listed = ask(target, demo, f"{run.index}/jobs").json()["jobs"]
    explained = ask(target, demo, f"{run.index}/summary").json()
    for jobs in (listed, explained["jobs"], ask(target, demo, f"{run.index}/jobs?steps=true").json()["jobs"]):
        assert [job["status"] for job in jobs] == ["success", "success"]
        assert all("attempt=" in job["logs_url"] for job in jobs)
        assert follow_url(target, demo, jobs[0]["logs_url"]).content == first.log_bytes()
        assert follow_url(target, demo, jobs[1]["logs_url"]).content == second.log_bytes()
    assert "attempt=latest" in explained["run"]["logs_url"]


@pytest.mark.parametrize("target", ["v13", "v15", "v17"], indirect=True)
def test_the_default_attempt_of_logs(target: Target, demo: Sample) -> None:
    run = rerun(target, demo, "success")
    job = run.jobs[1]
    for query, attempt in (
        ("job=1", 1),
        ("job=1&tail=9", 1),
        ("job=1&attempt=latest", 2),
        ("job=test", 2),
        ("job=test&attempt=1", 1),
        ("job=test&timestamps=true&tail=9", 2),
    ):
        answer = ask(target, demo, f"{run.index}/logs?{query}")
        assert answer.content == job.log_bytes(attempt), query
        assert answer.headers["X-Actions-Attempt"] == str(attempt), query
    for query in ("job=1", "job=test"):
        answer = ask(target, demo, f"{run.index}/logs?{query}&failed_steps=true")
        assert answer.status_code == 404 and "no step of job 1 (test) failed (success)" in answer.json()["message"]
        answer = ask(target, demo, f"{run.index}/logs?{query}&failed_steps=true&attempt=1")
        assert b"1 failed" in answer.content and answer.headers["X-Actions-Attempt"] == "1"
    assert ask(target, demo, f"{run.index}/logs").content == run.jobs[0].log_bytes()


@pytest.mark.parametrize("target", ["v13", "v15", "v17"], indirect=True)
def test_several_jobs_say_their_attempt(target: Target, demo: Sample) -> None:
    run = rerun(target, demo, "success")
    for query in ("job=failed", "failed_steps=true", "job=failed&attempt=latest"):
        answer = ask(target, demo, f"{run.index}/logs?{query}")
        assert b"1 failed" not in answer.content and answer.headers["X-Actions-Attempt"] == "latest"
    for query in ("job=failed&attempt=1", "failed_steps=true&attempt=1"):
        answer = ask(target, demo, f"{run.index}/logs?{query}")
        assert b"1 failed" in answer.content and b"made" not in answer.content
        assert answer.headers["X-Actions-Attempt"] == "1"
    answer = ask(target, demo, f"{run.index}/logs?format=zip")
    assert answer.headers["X-Actions-Attempt"] == "latest"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["0-build.log", "1-test.attempt-2.log"]
        assert archive.read("1-test.attempt-2.log") == run.jobs[1].log_bytes()


@pytest.mark.parametrize("target", ["v13", "v15", "v17"], indirect=True)
def test_a_summary_says_which_attempt_failed(target: Target, demo: Sample) -> None:
    run = rerun(target, demo, "failure")
    told = ask(target, demo, f"{run.index}/summary").json()
    (failed,) = told["failed_jobs"]
    assert failed["attempt"] == 2 and "attempt=2" in failed["logs_url"]
    assert failed["failed_steps"][0]["lines"] == ["once more"]
    for kind in ("text/plain", "text/markdown"):
        text = ask(target, demo, f"{run.index}/summary", headers={"Accept": kind}).text
        assert "attempt 2" in text and "attempt 1" not in text
    (failed,) = ask(target, demo, "2/summary").json()["failed_jobs"]
    assert failed["attempt"] == 1
    assert "attempt" not in ask(target, demo, "2/summary", headers={"Accept": "text/plain"}).text


def test_a_followed_run_takes_no_attempt(target: Target, demo: Sample) -> None:
    answer = ask(target, demo, "2/logs?job=all&follow=true&attempt=1")
    assert answer.status_code == 400 and "attempt" in answer.json()["message"]
    assert ask(target, demo, "2/logs?job=all&follow=true&attempt=latest").status_code == 200


@pytest.mark.parametrize("target", ["v7", "v11", "v12"], indirect=True)
def test_the_first_attempt_before_attempts_are_numbered(target: Target, demo: Sample) -> None:
    """From 9 on, the API lists a task for each attempt; before, nothing tells whether a job was rerun."""
    run = rerun(target, demo, "success")
    first, second = (ask(target, demo, f"{run.index}/logs?job={job}&attempt=1") for job in (0, 1))
    assert second.status_code == 404 and "before v13" in second.json()["message"]
    listed = ask(target, demo, f"{run.index}/jobs?job=build&attempt=1")
    several = ask(target, demo, f"{run.index}/logs?job=all&attempt=1&timestamps=false").text
    if target.number < 9:
        assert first.status_code == listed.status_code == 404
        assert "can't be told whether it was rerun" in first.json()["message"]
        assert "made" not in several
        return
    assert "it was rerun" in second.json()["message"]
    assert first.content == run.jobs[0].log_bytes() and first.headers["X-Actions-Attempt"] == "1"
    assert listed.json()["jobs"][0]["name"] == "build"
    assert "made" in several and "(attempt 1 of job 1 (test) can't be served: it was rerun" in several
    assert ask(target, demo, f"{run.index}/logs?attempt=2").status_code == 404
    twins = target.world.run(demo.repo, jobs=[JobSpec("same"), JobSpec("same")])
    for job in twins.jobs:
        target.world.play(job, "success", [["x"]])
    answer = ask(target, demo, f"{twins.index}/logs?attempt=1")
    assert answer.status_code == 404 and "several jobs have its name" in answer.json()["message"]


@pytest.mark.parametrize("target", ["v11", "v12"], indirect=True)
def test_the_first_attempt_behind_many_tasks(target: Target, demo: Sample) -> None:
    busy = target.world.run(demo.repo, jobs=[JobSpec(f"j{number}") for number in range(60)])
    for job in busy.jobs:
        target.world.play(job, "success", [["x"]])
    assert ask(target, demo, "1/logs?attempt=1").content == demo.runs["green"].jobs[0].log_bytes()
