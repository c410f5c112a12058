"""A job's log by id: whole, in parts, by attempt, by step, with a text, as NDJSON. Forgejo 17 is the model."""

from __future__ import annotations

import json

import pyfj
import pytest

from tests.api.native.conftest import ById, few_versions
from tests.double import JobSpec
from tests.double.rerun import rerun
from tests.support.sample import Sample


def test_a_client_reads_the_log_of_every_job(by_id: ById, native_demo: Sample) -> None:
    owner, _, name = native_demo.repo.full_name.partition("/")
    with by_id.client(native_demo.reader) as client:
        for run in native_demo.runs.values():
            for job in (each for each in run.jobs if each.task):
                assert client.repos.actions.jobs.logs(owner, name, job.id).encode() == job.log_bytes()
        with pytest.raises(pyfj.NotFoundError, match="run job with id 7: resource does not exist"):
            client.repos.actions.jobs.logs(owner, name, 7)
    with by_id.client(native_demo.stranger) as client, pytest.raises(pyfj.NotFoundError):
        client.repos.actions.jobs.logs(owner, name, native_demo.runs["green"].jobs[0].id)


@few_versions
def test_a_part_of_a_log(by_id: ById, native_demo: Sample) -> None:
    """Of the whole log and of a step."""
    job = native_demo.runs["green"].jobs[0]
    for query in ("", "?step=1"):
        path = f"{native_demo.repo.full_name}/actions/jobs/{job.id}/logs{query}"
        whole = by_id.ask("GET", path, native_demo.reader)
        assert whole.status_code == 200 and whole.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert whole.headers["Accept-Ranges"] == "bytes" and "Content-Disposition" not in whole.headers
        size = len(whole.content)
        assert whole.headers["Content-Length"] == str(size) and size > 20
        for wanted, start, stop in (("bytes=0-9", 0, 10), ("bytes=5-", 5, size), ("bytes=-7", size - 7, size)):
            part = by_id.ask("GET", path, native_demo.reader, headers={"Range": wanted})
            assert (part.status_code, part.content) == (206, whole.content[start:stop])
            assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
        none = by_id.ask("GET", path, native_demo.reader, headers={"Range": "bytes=999999-"})
        assert (none.status_code, none.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_steps_texts_and_json_lines(by_id: ById, native_demo: Sample) -> None:
    """The steps are counted from 0 and make up the log; what is searched for is behind the time of each line."""
    job = native_demo.runs["green"].jobs[0]
    whole = job.log_bytes()
    lines = whole.splitlines(keepends=True)

    def log(query: str) -> bytes:
        answer = by_id.ask(
            "GET", f"{native_demo.repo.full_name}/actions/jobs/{job.id}/logs?{query}", native_demo.reader
        )
        assert answer.status_code == 200, (query, answer.text)
        return answer.content

    assert b"".join(log(f"step={step}") for step in range(4)) == whole
    assert log("step=abc") == log("step=0") == lines[0]
    assert log("step=&q=&format=&qi=1") == whole
    assert (
        log("q=compiling") == lines[1] and log("q=COMPILING") == b"" and log("q=COMPILING%20%C3%9CN&qi=1") == lines[1]
    )
    assert log("q=2026") == log("q=T1") == b"" and log("q=.*") == b""
    assert log("step=2&q=html") == lines[3] and log("step=2&q=compiling") == b""
    rows = [json.loads(line) for line in log("format=ndjson").splitlines()]
    assert [row["content"] for row in rows] == [line.decode().rstrip("\n").split(" ", 1)[1] for line in lines]
    stamps = [line.decode().split(" ", 1)[0] for line in lines]
    assert [row["time"] for row in rows] == [
        f"{stamp.removesuffix('Z').rstrip('0').removesuffix('.')}Z" for stamp in stamps
    ]
    (row,) = (json.loads(line) for line in log("format=ndjson&step=1&q=GREEN&qi=true").splitlines())
    assert row["content"] == "\x1b[32mgreen\x1b[0m"
    assert log("page=7&attempt=&unknown=x") == whole


@few_versions
def test_headers_of_filtered_logs(by_id: ById, native_demo: Sample) -> None:
    job = native_demo.runs["green"].jobs[0]
    base, attempt = f"{native_demo.repo.full_name}/actions/jobs/{job.id}/logs", 0 if by_id.number == 12 else 1
    for query, kind, tail in (
        ("q=html", "text/plain; charset=utf-8", ""),
        ("format=ndjson", "application/x-ndjson", ""),
        ("q=html&step=2", "text/plain; charset=utf-8", "-step-2"),
    ):
        answer = by_id.ask("GET", f"{base}?{query}", native_demo.reader, headers={"Range": "bytes=0-3"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        name = f'inline; filename="job-{job.id}-attempt-{attempt}{tail}.log"'
        assert answer.headers["Content-Disposition"] == name
        assert "Content-Length" not in answer.headers and "Accept-Ranges" not in answer.headers


@few_versions
def test_what_is_not_there(by_id: ById, native_demo: Sample) -> None:
    job = native_demo.runs["green"].jobs[0]
    base = f"{native_demo.repo.full_name}/actions/jobs/{job.id}/logs"
    no_attempt = "task with job_id {} and attempt {}: resource does not exist"
    for query, message in (
        ("step=4", "step index out of range"),
        ("step=-1", "step index out of range"),
        ("attempt=0", no_attempt.format(job.id, 0)),
        ("attempt=abc", no_attempt.format(job.id, 0)),
        ("attempt=9", no_attempt.format(job.id, 9)),
    ):
        answer = by_id.ask("GET", f"{base}?{query}", native_demo.reader)
        assert answer.status_code == 404 and answer.headers["Content-Type"] == "application/json;charset=utf-8"
        assert set(answer.json()) == {"message", "url"}
        assert answer.json()["message"] == message or (by_id.number == 12 and query == "attempt=9"), query
    job.task.log = None
    missing = by_id.ask("GET", base, native_demo.reader)
    assert (missing.status_code, missing.json()["message"]) == (500, "")


@few_versions
def test_a_step_of_a_log_that_is_too_large(by_id: ById, native_demo: Sample) -> None:
    """In the words that a request by number gets. The whole log is there."""
    run = by_id.world.run(native_demo.repo, jobs=[JobSpec("big")])
    by_id.world.big_log(run.jobs[0], 65 << 20)
    name = native_demo.repo.full_name
    big = by_id.ask("GET", f"{name}/actions/jobs/{run.jobs[0].id}/logs?step=1", native_demo.reader)
    by_number = by_id.ask("GET", f"{name}/actions/runs/by-number/{run.index}/logs?step=2", native_demo.reader)
    assert (big.status_code, by_number.status_code) == (404, 404), big.text
    assert big.json()["message"] == by_number.json()["message"]
    assert "has 65 MiB: its steps are told apart up to 64 MiB; ask for the whole log" in big.json()["message"]
    end = by_id.ask(
        "GET", f"{name}/actions/jobs/{run.jobs[0].id}/logs", native_demo.reader, headers={"Range": "bytes=-9"}
    )
    assert (end.status_code, len(end.content)) == (206, 9)


def test_attempts(by_id: ById, native_demo: Sample) -> None:
    """Each attempt has a log of its own from v13 on. While a rerun waits, only v16 and later have the earlier one."""
    world, job = by_id.world, native_demo.runs["deploy"].jobs[0]
    first = job.log_bytes()
    base = f"{native_demo.repo.full_name}/actions/jobs/{job.id}"

    def log(tail: str = "") -> tuple[int, bytes]:
        answer = by_id.ask("GET", f"{base}/logs{tail}", native_demo.reader)
        return answer.status_code, answer.content

    rerun(world, job.run, None)
    status, body = log()
    assert (status, json.loads(body)["message"]) == (404, "job has not been executed yet")
    assert log("?attempt=1") == (200, first) or (by_id.number < 16 and log("?attempt=1")[0] == 404)
    world.play(job, "success", [["again"]])
    assert log() == (200, job.log_bytes()) and job.log_bytes() != first
    if by_id.number > 12:
        assert log("?attempt=1") == (200, first) and log("?attempt=2") == (200, job.log_bytes())
        assert by_id.ask("GET", base, native_demo.reader).json()["attempt"] == 2


@few_versions
def test_only_get(by_id: ById, native_demo: Sample) -> None:
    """Of the extension's own answers. Forgejo has no HEAD in its API either."""
    for tail in ("", "/logs") if by_id.number < 16 else ("",) if by_id.number < 17 else ():
        path = f"{native_demo.repo.full_name}/actions/jobs/{native_demo.runs['green'].jobs[0].id}{tail}"
        for method in ("HEAD", "POST", "DELETE"):
            answer = by_id.ask(method, path, native_demo.reader)
            assert (answer.status_code, answer.headers["Allow"], answer.content) == (405, "GET", b"")
