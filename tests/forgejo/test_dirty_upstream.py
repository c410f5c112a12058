"""What people and jobs write comes out as data: markup, escapes, line ends and bidi marks change nothing around them."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest

from tests.conftest import Target
from tests.double import JobSpec
from tests.support.sample import Sample, number_in

DIRT = {
    "markup": "<script>alert(1)</script><img src=x onerror=y> &lt; &amp;amp; \"'`",
    "closing": "</div></script>--></title>]]>",
    "json": '"}],"state":{"run":{"status":"success"}},"x":"\\u0000\\',
    "header": "x\r\nSet-Cookie: planted=1\r\nX-Actions-Run: 666\r\n\r\n<html>",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x1b[31mred\x9b2J",
    "bidi": "\u202egnp.exe\u2066\u2069\u200f \u200b\ufeff",
    "markdown": "[x](javascript:alert(1)) ![](http://evil/) **b** | a | # h ``` ",
    "controls": "a\x01\x02\x08\x0b\x0c\x0e\x1f\x7f\u0085\u2028\u2029b",
    "template": "{{7*7}} ${7*7} {% raw %} %s %(x)s %0d%0a",
    "unicode": "𝔘𝔫𝔦 \U0010ffff \ufffd e\u0301 ✓",
    "long": "z" * 255,  # as long as Forgejo's database lets names be; a line may be longer
}
LONG_LINE = "z" * 65536


def dirty_run(target: Target, demo: Sample, dirt: str, result: str = "failure") -> Any:
    """A run that bears the text in its title, its jobs' and steps' names, and its log."""
    run = target.world.run(demo.repo, title=dirt, jobs=[JobSpec("plain"), JobSpec(dirt or "x", steps=[dirt])])
    for job in run.jobs:
        target.world.play(job, result, [["set up"], [dirt, LONG_LINE]])
    return run


@pytest.mark.parametrize("kind", DIRT)
def test_names_and_titles_are_data(target: Target, demo: Sample, kind: str) -> None:
    dirt = DIRT[kind]
    run = dirty_run(target, demo, dirt)
    info = target.request("GET", f"{demo.base}/latest", demo.reader)
    assert info.status_code == 200, info.text[:300]
    assert info.json()["display_title"] == dirt and info.json()["run_number"] == run.index
    summary = target.request("GET", f"{demo.base}/{run.index}/summary", demo.reader)
    jobs = summary.json()["jobs"]
    assert [job["name"] for job in jobs] == ["plain", dirt] and [job["status"] for job in jobs] == ["failure"] * 2
    assert summary.json()["failed_jobs"][1]["failed_steps"][0]["name"] == dirt
    detail = target.request("GET", f"{demo.base}/{run.index}/jobs?job=1", demo.reader).json()["jobs"][0]
    assert dirt in [step["name"] for step in detail["steps"]]
    for answer in (info, summary):
        clean(answer)


@pytest.mark.parametrize("kind", DIRT)
def test_log_lines_are_data(target: Target, demo: Sample, kind: str) -> None:
    """A log is Forgejo's bytes, with a type that no browser takes for a page, and headers of our own only."""
    run = dirty_run(target, demo, DIRT[kind])
    answer = target.request("GET", f"{demo.base}/{run.index}/logs?job=1", demo.reader)
    assert answer.status_code == 200, answer.text[:300]
    assert answer.content == run.jobs[1].log_bytes()
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert number_in(answer) == run.index
    assert "Set-Cookie" not in answer.headers
    assert not any(ord(character) < 32 for value in answer.headers.values() for character in value)


@pytest.mark.parametrize("kind", DIRT)
def test_messages_that_quote_are_data(target: Target, demo: Sample, kind: str) -> None:
    """A 404 lists the jobs' names, and a 409 names the job."""
    dirt = DIRT[kind]
    run = dirty_run(target, demo, dirt, "success")
    unknown = target.request("GET", f"{demo.base}/{run.index}/logs", demo.reader, params={"job": "none"})
    assert unknown.status_code == 404 and "plain" in unknown.json()["message"]
    waiting = target.world.run(demo.repo, title=dirt, jobs=[JobSpec(dirt)])
    busy = target.request("POST", f"{demo.base}/{waiting.index}/rerun", demo.writer, params={"job": "0"})
    assert busy.status_code == 409, busy.text[:300]
    not_yet = target.request("GET", f"{demo.base}/{waiting.index}/logs", demo.reader)
    assert not_yet.status_code == 404
    for answer in (unknown, busy, not_yet):
        clean(answer)
        assert len(answer.json()["message"]) < 2100


def clean(answer: Any) -> None:
    """JSON, one line, and nothing in the headers that the upstream's data put there."""
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers and answer.headers.get("X-Actions-Run") != "666"
    text = answer.content.decode()
    assert json.loads(text) and text.count("\n") == 1 and text.endswith("\n")
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in text[:-1])
