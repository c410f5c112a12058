"""Followed logs of a fast runner, and of one that is cancelled: byte for byte the log.

The runner uploads lines first, and tells later which step they belong to. FOLLOW_LINES sets how many lines it writes.
"""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

from tests.actions.following.follower import EVENTS, Reader, Stream, events, texts
from tests.live.conftest import Stage
from tests.live.runner import Task, step_state
from tests.live.stand_in import StandIn

MARK = re.compile(rb"^==> .* <==\n", re.MULTILINE)
# Lines in one upload, and uploads between two reports of the steps.
UPLOAD, REPORT = 500, 4
PATIENCE = 600.0


def line_count(stage: Stage) -> int:
    """Few on a stand-in: the suite has to be quick."""
    return int(os.environ.get("FOLLOW_LINES") or (4_000 if isinstance(stage.server, StandIn) else 200_000))


def play(stage: Stage, task: Task, count: int) -> None:
    """Two steps of equal length, as fast as Forgejo takes them. The second one fails."""
    runner, half = stage.server.runner, count // 2
    sizes, written = (half, count - half), [0, 0]
    for number, size in enumerate(sizes):
        for upload, begin in enumerate(range(0, size, UPLOAD)):
            lines = [
                f"step {number} line {line} {'x' * (line % 90)}" for line in range(begin, min(begin + UPLOAD, size))
            ]
            runner.log(task, lines)
            written[number] += len(lines)
            if upload % REPORT == REPORT - 1:
                runner.update(task, states(task, written, sizes))
    runner.log(task, ["cleaned up"], last=True)
    runner.update(task, states(task, written, sizes), "failure")


def states(task: Task, written: list[int], sizes: tuple[int, ...]) -> list[dict[str, object]]:
    """What the runner reports of its steps. A step that goes on has no result."""
    found = []
    for number, length in enumerate(written):
        if length:
            state = step_state(task, number, "failure" if number else "success", 1 + sum(sizes[:number]), length)
            if length < sizes[number]:
                del state["result"], state["stoppedAt"]
            found.append(state)
    return found


def follow(stage: Stage, number: int, query: str = "", **headers: str) -> Reader:
    path = f"/api/v1/repos/{stage.server.repo()}/actions/runs/{number}/logs?follow=true{query}"
    stream = Stream(stage, path, stage.server.tokens["reader"], headers, PATIENCE)  # type: ignore[arg-type]
    return Reader(stream, PATIENCE)


def test_followers_of_a_fast_job_have_its_log(stage: Stage) -> None:
    number, count = stage.server.push("fast.yml", "as fast as it can"), line_count(stage)
    task = stage.server.take(number)
    stage.server.runner.update(task)
    stage.server.runner.log(task, ["set up"])
    text, as_events, left = (follow(stage, number, **headers) for headers in ({}, EVENTS, EVENTS))
    every, tail = follow(stage, number, "&job=all"), follow(stage, number, "&tail=1")
    steps = [follow(stage, number, f"&step={step}") for step in (1, 2, 3, 4)]
    left.until(b"event: line")
    with ThreadPoolExecutor(1) as pool:
        played = pool.submit(play, stage, task, count)
        left.until(b"step 0 line")
        left.leave()
        seen = left.data.decode(errors="ignore").rpartition("\n\n")[0].encode() + b"\n\n"
        last = [each for each in events(seen) if each[0] == "line"][-1]
        resumed = follow(stage, number, **EVENTS, **{"Last-Event-ID": last[2]})
        played.result()
    log = task.log_bytes()
    lines = log.splitlines(keepends=True)
    for reader in (text, every, tail):
        assert MARK.sub(b"", reader.whole()) == log
    assert texts(as_events.whole()) == texts(seen) + texts(resumed.whole()) == log
    half = count // 2
    parts = (lines[:1], lines[1 : 1 + half], lines[1 + half : 1 + count], lines[1 + count :])
    for reader, part in zip(steps, parts, strict=True):
        assert MARK.sub(b"", reader.whole()) == b"".join(part)


def test_the_last_lines_of_a_cancelled_job_are_followed(stage: Stage) -> None:
    """The runner learns of the cancel some time later, and then uploads them."""
    number = stage.server.push("late.yml", "cancelled")
    task = stage.server.take(number)
    stage.server.runner.update(task)
    stage.server.runner.log(task, ["begun"])
    readers = [follow(stage, number), follow(stage, number, "&job=all")]
    for reader in readers:
        reader.until(b"begun")
    stage.server.cancel(number)
    time.sleep(1.5)
    assert stage.server.runner.update(task) == "CANCELLED"
    stage.server.runner.log(task, ["context canceled", "Job failed"], last=True)
    stage.server.runner.update(task, result="cancelled")
    for reader in readers:
        assert MARK.sub(b"", reader.whole()) == task.log_bytes()
    assert readers[0].data.endswith(f"==> {task.job} (0) · cancelled <==\n".encode())
