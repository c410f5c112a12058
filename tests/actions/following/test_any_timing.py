"""A followed log is the log: whatever the rates, the order of events at Forgejo, and its faults.

FOLLOW_EXAMPLES sets how many cases are tried; 10,000 take about half an hour.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from addon.actions.following.follower import Follower
from addon.actions.query import ALL
from addon.api.answers.events import resumed
from tests.actions.following.follower import events, texts
from tests.actions.following.scripted import STEPS, Play, Script, new_run, scripts
from tests.actions.following.simulation import Simulation, query
from tests.double.view import all_steps

EXAMPLES = int(os.environ.get("FOLLOW_EXAMPLES", "240"))
MARK = re.compile(rb"^==> .* <==\n", re.MULTILINE)
VERSIONS = ("v7", "v12", "v13", "v17")
_numbers = itertools.count(1)
timing = settings(
    max_examples=max(EXAMPLES // 6, 1),
    deadline=None,
    database=None,
    phases=[Phase.generate, *([Phase.shrink] if os.environ.get("FOLLOW_SHRINK") else [])],
    suppress_health_check=list(HealthCheck),
)


@functools.cache
def simulation(version: str) -> Simulation:
    """One for each version."""
    return Simulation(version)


class Stage:
    """A run of some jobs, and who follows it while a script plays."""

    def __init__(self, version: str, script: Script) -> None:
        self._simulation = simulation(version)
        world = self._simulation.world
        repo = world.repo(f"{world.admin.name}/repo-{next(_numbers)}")
        self.run = new_run(world, repo, len(script.jobs))
        self.play = Play(script, self.run, world, self._simulation.double.faults)

    def following(self) -> Any:
        return self._simulation.following(self.play)

    def log(self, job: int = 0) -> bytes:
        """The final log."""
        self.play.rest()
        return bytes(self.run.jobs[job].log_bytes())

    def step(self, number: int) -> bytes:
        """The lines of a step that the final page shows."""
        lines = self.log().splitlines(keepends=True)
        step = all_steps(self.run.jobs[0].task, self._simulation.world.version)[number - 1]
        return b"".join(lines[step.log_index : step.log_index + max(step.log_length, 0)])


def without_marks(text: bytes) -> bytes:
    return MARK.sub(b"", text)


@timing
@given(st.sampled_from(VERSIONS), scripts(1))
def test_text_is_the_log(version: str, script: Script) -> None:
    stage = Stage(version, script)
    with stage.following() as follow:
        text = follow.text(query(stage.run))
    assert without_marks(text) == stage.log()
    status = stage.run.jobs[0].status
    why = "there is no log" if not stage.log() else str(status)
    assert MARK.findall(text)[-1] == f"==> job 0 (0) · {why} <==\n".encode()


@timing
@given(st.sampled_from(VERSIONS), scripts(1), st.integers(0, 60))
def test_a_stream_that_is_resumed_goes_on_behind_the_line(version: str, script: Script, count: int) -> None:
    stage = Stage(version, script)
    with stage.following() as follow:

        def enough(data: bytes) -> bool:
            return data.count(b"event: line") > count

        first = follow.events(query(stage.run), {}, enough)
        lines = [each for each in events(first) if each[0] == "line"]
        kept = lines[: count + 1]
        data = first
        if len(lines) > count:
            data = follow.events(query(stage.run), resumed(kept[-1][2]), lambda data: False)
        else:
            kept = []
    said = "".join(value["text"] + "\n" for _, value, _ in kept).encode() + texts(data)
    assert said.decode() == stage.log().decode(errors="replace")
    numbers = [value["number"] for name, value, _ in (*kept, *events(data)) if name == "line"]
    assert numbers == list(range(1, len(numbers) + 1))
    reason = "missing" if not stage.log() else "done"
    assert events(data)[-1][1] == {"reason": reason, "status": str(stage.run.jobs[0].status)}


@timing
@given(st.sampled_from(VERSIONS), scripts(1), st.integers(1, len(STEPS) + 2), st.booleans())
def test_a_step_has_the_lines_that_its_page_shows(version: str, script: Script, step: int, as_events: bool) -> None:
    if script.ends[0] == "cancelled" and step in (1, len(STEPS) + 2):
        step = 2  # late lines change the steps that Forgejo makes up
    stage = Stage(version, script)
    with stage.following() as follow:
        if as_events:
            said = texts(follow.events(query(stage.run, step=step), {}, lambda data: False))
        else:
            said = without_marks(follow.text(query(stage.run, step=step)))
    assert said.decode(errors="replace") == stage.step(step).decode(errors="replace")


@timing
@given(st.sampled_from(VERSIONS), scripts(1), st.integers(1, 50))
def test_tail_is_the_logs_end(version: str, script: Script, count: int) -> None:
    stage = Stage(version, script)
    with stage.following() as follow:
        said = without_marks(follow.text(query(stage.run, tail=count)))
    log = stage.log()
    assert log.endswith(said)
    assert said.count(b"\n") >= min(count, log.count(b"\n"))
    assert log[: len(log) - len(said)].endswith(b"\n") or len(said) == len(log)


@timing
@given(st.sampled_from(VERSIONS), scripts(3))
def test_several_jobs_each_have_their_log(version: str, script: Script) -> None:
    stage = Stage(version, script)
    with stage.following() as follow:
        data = follow.events(query(stage.run, job=ALL), {}, lambda data: False)
    found = events(data)
    for job in range(3):
        lines = [value["text"] + "\n" for name, value, _ in found if name == "line" and value["job"] == job]
        assert "".join(lines) == stage.log(job).decode(errors="replace")
    assert found[-1][:2] == ("end", {"reason": "done", "status": str(stage.run.status)})


@timing
@given(st.sampled_from(VERSIONS), scripts(2))
def test_text_of_several_jobs_has_whole_lines_under_their_job(version: str, script: Script) -> None:
    stage = Stage(version, script)
    with stage.following() as follow:
        text = follow.text(query(stage.run, job=ALL))
    said: dict[bytes, bytes] = {}
    job = b""
    for line in re.findall(rb"[^\n]*\n", text):
        if MARK.fullmatch(line):
            job = line.split(b" ")[2]
        else:
            said[job] = said.get(job, b"") + line
    assert said == {b"%d" % job: stage.log(job) for job in range(2) if stage.log(job)}
    assert text.endswith(f"==> run {stage.run.index} · {stage.run.status} <==\n".encode())


def test_the_simulation_sees_a_lost_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the test: if blocks are dropped, it fails."""
    real = Follower._until
    monkeypatch.setattr(Follower, "_until", lambda *args: itertools.islice(real(*args), 1, None))
    script = Script(((("rows", (3, 5)),),), ("success",), (), (1,))
    stage = Stage("v17", script)
    with stage.following() as follow:
        assert without_marks(follow.text(query(stage.run))) != stage.log()
