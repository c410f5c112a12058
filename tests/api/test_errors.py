"""Errors of a request, from outside: their status, and that they are JSON like all others."""

from __future__ import annotations

import pytest

from tests.conftest import Target
from tests.support.sample import Sample


@pytest.mark.parametrize("path", ["1/logs", "2/artifacts/report"])
def test_a_range_behind_the_end(target: Target, demo: Sample, path: str) -> None:
    target.world.artifact(demo.runs["failed"], "report", b"PK\x05\x06" + bytes(18))
    answer = target.request("GET", f"{demo.base}/{path}", demo.reader, headers={"Range": "bytes=99999-"})
    if target.number < 9 and "artifacts" in path:
        assert answer.status_code == 200  # this version takes no Range
        return
    assert answer.status_code == 416 and answer.headers["Content-Type"].startswith("application/json")
    size = answer.headers["Content-Range"].removeprefix("bytes */")
    assert answer.json()["message"] == f"Range: nothing is there; the size is {size} bytes"
    answer = target.request("HEAD", f"{demo.base}/{path}", demo.reader, headers={"Range": "bytes=99999-"})
    assert answer.status_code == 416 and not answer.content


@pytest.mark.parametrize("header", ["{}", "Token={}", "token: {}", "bearer:{}", "Digest {}"])
def test_credentials_that_forgejo_does_not_see(target: Target, demo: Sample, header: str) -> None:
    """Forgejo takes such a request for an anonymous one, and says 404."""
    given = {"Authorization": header.format(demo.reader)}
    answer = target.request("GET", f"{demo.base}/1/logs", headers=given)
    assert answer.status_code == 401 and "Authorization: token YOUR_TOKEN" in answer.json()["message"]
    assert demo.reader not in answer.text
    assert target.request("GET", f"{demo.base}/1/logs").status_code == 404
    demo.repo.private = False
    assert target.request("GET", f"{demo.base}/1/logs", headers=given).status_code == 200  # as Forgejo does


@pytest.mark.parametrize("target", ["v15"], indirect=True)
def test_the_format_of_a_summary(target: Target, demo: Sample) -> None:
    for name, kind in (("json", "application/json"), ("markdown", "text/markdown"), ("text", "text/plain")):
        answer = target.request("GET", f"{demo.base}/2/summary?format={name}", demo.reader, headers={"Accept": "*/*"})
        asked = target.request("GET", f"{demo.base}/2/summary", demo.reader, headers={"Accept": kind})
        assert answer.headers["Content-Type"].startswith(kind)
        assert answer.content == asked.content


@pytest.mark.parametrize("target", ["v15"], indirect=True)
def test_the_limit_of_wait(target: Target, demo: Sample) -> None:
    for text in ("301", "forever"):
        answer = target.request("GET", f"{demo.base}/1/jobs?wait={text}", demo.reader)
        assert answer.status_code == 400
        assert answer.json()["message"] == f"wait takes a whole number from 0 to 300, not '{text}'"
