"""A request's body is never ignored: it is read like the query, or refused, and then nothing is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.conftest import Target
from tests.double import JobSpec
from tests.support.proxy import raw
from tests.support.sample import Sample

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
# A body changes nothing in Forgejo's versions, so one is enough.
one_version = pytest.mark.parametrize("target", ["v15"], indirect=True)


def post(target: Target, path: str, token: str, body: bytes, kind: str | None, **headers: str) -> requests.Response:
    headers |= {"Content-Type": kind} if kind is not None else {}
    return target.request("POST", path, token, data=body, headers=headers)


def is_untouched(run: Any) -> bool:
    return all(len(job.tasks) == 1 and job.status.done for job in run.jobs)


@one_version
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"dry_run=true"),
        (JSON, b'{"dry_run": true}'),
        ("application/JSON; charset=UTF-8", b'\n{"dry_run": true}\n'),
    ],
)
def test_a_dry_run_cancels_nothing(target: Target, demo: Sample, kind: str, body: bytes) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec("slow")])
    target.world.pick(run.jobs[0])
    answer = post(target, f"{demo.base}/latest/cancel", demo.writer, body, kind)
    assert answer.status_code == 200 and answer.json()["dry_run"] is True and not run.done
    answer = post(target, f"{demo.base}/latest/cancel", demo.writer, b"", kind)
    assert answer.status_code == 200 and answer.json()["dry_run"] is False and run.done


@one_version
def test_a_rerun_reads_its_body(target: Target, demo: Sample) -> None:
    target.world.artifact(demo.runs["failed"], "report", b"PK\x05\x06" + bytes(18))
    kept = json.dumps({"job": "failed", "keep_artifacts": "required"}).encode()
    answer = post(target, f"{demo.base}/2/rerun", demo.writer, kept, JSON)
    assert answer.status_code == 409 and "report" in answer.json()["message"]
    assert is_untouched(demo.runs["failed"])
    answer = post(target, f"{demo.base}/2/rerun?status=failure", demo.writer, b'{"job": "failed"}', JSON)
    assert answer.status_code == 201 and [job["name"] for job in answer.json()["jobs"]] == ["test"]


REFUSED = [
    (JSON, b'{"job": "failed"', 400, "not valid JSON"),
    (JSON, b'["failed"]', 400, "takes a JSON object"),
    (JSON, b'"failed"', 400, "takes a JSON object"),
    (JSON, b"null", 400, "takes a JSON object"),
    (JSON, b"[" * 60000, 400, "not valid JSON"),
    (JSON, b'{"job": NaN}', 400, "not valid JSON"),
    (JSON, b'{"job": "\xff"}', 400, "not UTF-8"),
    (JSON, b'{"job": "test", "job": "build"}', 400, "job is given more than once"),
    (JSON, b'{"jobs": "failed"}', 400, "unknown parameter 'jobs'; runs/2/rerun takes actor, "),
    (JSON, b'{"token": "x"}', 400, "unknown parameter 'token'"),
    (JSON, b'{"dry_run": "true"}', 400, "dry_run takes true or false"),
    (JSON, b'{"dry_run": 1}', 400, "dry_run takes true or false"),
    (JSON, b'{"job": null}', 400, "job takes a number or a string"),
    (JSON, b'{"job": true}', 400, "job takes a number or a string"),
    (JSON, b'{"job": 1.0}', 400, "job takes a number or a string"),
    (JSON, b'{"job": -1}', 404, "no job named '-1'"),
    (JSON, b'{"job": ["failed"]}', 400, "job takes a number or a string"),
    (JSON, b'{"job": ""}', 400, "job takes a 0-based index"),
    (JSON, b'{"job": "\\ud800"}', 400, "job takes a 0-based index"),
    (JSON, b'{"keep_artifacts": "yes"}', 400, "keep_artifacts takes required, not 'yes'"),
    (JSON, b'{"workflow_id": 1}', 400, "workflow_id takes a string"),
    (JSON, b'{"status": "failure"}', 400, "status is given both in the query and in the body"),
    (FORM, b"status=failure", 400, "status is given both in the query and in the body"),
    (FORM, b"job=1&job=1", 400, "job is given more than once"),
    (FORM, b'{"job": "failed"}', 400, "unknown parameter '{\"job\": \"failed\"}'"),
    (FORM, b"job=%00", 400, "NUL"),
    (FORM, b"job=%ff", 400, "not UTF-8"),
    (FORM, b"job=\xff", 400, "not UTF-8"),
    (None, b"job=failed", 415, "application/json"),
    ("text/plain", b"job=failed", 415, "application/json"),
    ("multipart/form-data; boundary=x", b"--x--", 415, "application/json"),
    ("application/json; charset=utf-16", '{"job": 1}'.encode("utf-16"), 415, "application/json"),
    (JSON, b'{"job": "failed"}' + b" " * 65536, 413, "65536 bytes"),
    (None, bytes(3_000_000), 413, "65536 bytes"),
]  # fmt: skip


@one_version
@pytest.mark.parametrize(("kind", "body", "status", "said"), REFUSED)
def test_what_is_not_understood_changes_nothing(
    target: Target, demo: Sample, kind: str | None, body: bytes, status: int, said: str
) -> None:
    target.double.forget_requests()
    answer = post(target, f"{demo.base}/2/rerun?status=failure", demo.writer, body, kind)
    assert answer.status_code == status and said in answer.json()["message"], answer.text
    assert is_untouched(demo.runs["failed"])
    assert not [seen for seen in target.double.requests_by_session() if seen.method == "POST"]


@one_version
def test_a_coded_body(target: Target, demo: Sample) -> None:
    answer = post(target, f"{demo.base}/2/rerun", demo.writer, b"\x1f\x8b", JSON, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 415 and is_untouched(demo.runs["failed"])


@one_version
@pytest.mark.parametrize("body", [b"", b"{}", b" \n"])
def test_an_empty_body(target: Target, demo: Sample, body: bytes) -> None:
    assert post(target, f"{demo.base}/2/rerun", demo.writer, body, JSON).status_code == 201


@one_version
def test_reading_takes_a_body_too(target: Target, demo: Sample) -> None:
    for method in ("GET", "HEAD"):
        answer = target.request(method, f"{demo.base}/2/logs", demo.reader, json={"job": "test", "tail": 1})
        assert answer.status_code == 200 and answer.headers["X-Actions-Job"] == "1"
        answer = target.request(method, f"{demo.base}/2/logs", demo.reader, json={"tails": 1})
        assert answer.status_code == 400
    answer = target.request("GET", f"{demo.base}/2/jobs/0", demo.reader, json={"job": 1})
    assert answer.status_code == 400  # the path names the job


@one_version
def test_on_the_wire(target: Target, demo: Sample) -> None:
    """However a client sends a body, the next request on the connection is understood."""
    path, last = f"{demo.base}/2/rerun", f"GET {demo.base}/0/logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: token {demo.writer}\r\nContent-Type: {JSON}\r\n"
    body = '{"job": "test", "dry_run": true}'
    chunked = "".join(f"1;x=y\r\n{each}\r\n" for each in body) + "0\r\n\r\n"
    large = "1000\r\n" + " " * 0x1000 + "\r\n"
    for sent, status, said in (
        (f"Content-Length: {len(body)}\r\n\r\n{body}", 200, '"dry_run": true'),
        (f"Transfer-Encoding: chunked\r\n\r\n{chunked}", 200, '"dry_run": true'),
        (f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n{body}", 200, '"dry_run": true'),
        (f"Transfer-Encoding: chunked\r\n\r\n{large * 200}0\r\n\r\n", 413, "65536 bytes"),
    ):
        answer = raw(target.proxy, (head + sent + last).encode()).decode()
        first, _, second = answer.removeprefix("HTTP/1.1 100 Continue\r\n\r\n").rpartition("HTTP/1.1 ")
        assert first.startswith(f"HTTP/1.1 {status} ") and said in first and second.startswith("400 "), answer
    old = f"POST {path} HTTP/1.0\r\nAuthorization: token {demo.writer}\r\nContent-Type: {JSON}\r\n"
    answer = raw(target.proxy, f"{old}Content-Length: {len(body)}\r\n\r\n{body}".encode()).decode()
    assert " 200 " in answer.partition("\r\n")[0] and answer.rstrip().endswith("}"), answer
    assert is_untouched(demo.runs["failed"])
