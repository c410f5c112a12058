"""A log that Forgejo breaks off: read on from its last good byte, and never with a byte that is not the log's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.conftest import Target
from tests.double import Fault, JobSpec
from tests.support.sample import Sample

SIZE = 3 << 20


@pytest.fixture
def big(target: Target, demo: Sample) -> Any:
    """A job whose log is larger than any buffer."""
    job = target.world.run(demo.repo, jobs=[JobSpec("big")]).jobs[0]
    target.world.big_log(job, SIZE)
    return job


@contextmanager
def broken(target: Target, demo: Sample, kind: str, times: int, value: Any = None) -> Iterator[None]:
    """Downloads of logs in this repository break off, so many times."""
    fault = Fault(f"^GET /{demo.repo.full_name}/.*/logs", kind, times, value)
    target.double.faults.append(fault)
    try:
        yield
    finally:
        if fault in target.double.faults:
            target.double.faults.remove(fault)


@pytest.mark.parametrize("good", [70_000, SIZE - 100])
@pytest.mark.parametrize("query", ["", "timestamps=true&ansi=false", "tail=9000"])
def test_an_error_page_in_a_log_is_not_passed_on(target: Target, demo: Sample, big: Any, good: int, query: str) -> None:
    with broken(target, demo, "panic", 1, good):
        answer = target.request("GET", f"{demo.base}/{big.run.index}/logs?{query}", demo.reader)
    lines = big.log_bytes().splitlines(keepends=True)
    assert answer.content == b"".join(lines[-9000:] if "tail" in query else lines)


@pytest.mark.parametrize("kind", ["truncate", "cut"])
def test_a_download_that_breaks_off_is_read_on(target: Target, demo: Sample, big: Any, kind: str) -> None:
    path = f"{demo.base}/{big.run.index}/logs"
    whole = big.log_bytes()
    with broken(target, demo, kind, 2):
        if kind == "cut":  # in chunks, without a length: nothing tells how much is missing
            assert target.request("GET", path, demo.reader).status_code == 502
            return
        assert target.request("GET", path, demo.reader).content == whole
    with broken(target, demo, kind, 1):
        part = target.request("GET", path, demo.reader, headers={"Range": "bytes=5-2000004"})
    assert (part.status_code, part.content) == (206, whole[5:2000005])


def test_a_log_that_ends_with_an_error_page_of_its_own_is_whole(target: Target, demo: Sample) -> None:
    job = target.world.run(demo.repo, jobs=[JobSpec("curl")]).jobs[0]
    target.world.play(job, "failure", [["<!DOCTYPE html>", "<h1>Internal server error</h1>"]])
    answer = target.request("GET", f"{demo.base}/{job.run.index}/logs", demo.reader)
    assert answer.content == job.log_bytes()


def received(answer: requests.Response) -> bytes:
    """What arrives before the connection ends too early."""
    data = b""
    try:
        for chunk in answer.iter_content(65536):
            data += chunk
    except requests.exceptions.RequestException:
        return data
    raise AssertionError("the body ended as if it were whole")


def test_a_log_that_stays_broken_does_not_look_whole(target: Target, demo: Sample, big: Any) -> None:
    path, whole = f"{demo.base}/{big.run.index}/logs", big.log_bytes()
    ask: Callable[[], requests.Response] = lambda: target.request("GET", path, demo.reader, stream=True)  # noqa: E731
    with broken(target, demo, "panic", 99, 1 << 20):
        answer = ask()
        assert answer.headers["Content-Length"] == str(SIZE)
        assert whole.startswith(received(answer))
    with broken(target, demo, "panic", 99, 1000):
        assert ask().status_code == 502
