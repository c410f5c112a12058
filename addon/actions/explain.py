"""Explains one failed job: the last lines of its failed steps, and the annotations in its log.

Only the end of the log is read for annotations. A step's lines are those that the run's page shows of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from addon.actions.annotations import Annotation, annotations_in
from addon.actions.logs.completeness import is_complete
from addon.actions.logs.lines import ESCAPE, TIMESTAMP
from addon.actions.logs.reader import LogReader
from addon.actions.logs.step_ranges import line_hash, log_line_hash
from addon.errors import ApiError
from addon.forgejo.job_logs import JobLogs, not_started
from addon.model import Job, JobDetail, Run, Step
from addon.quota import CpuQuota

MOST_STEPS = 5
# How many bytes of a log's end are read, and the size of the largest log whose lines are told by step.
WINDOW = 1 << 20
MOST_TOLD = 16 << 20
# The most characters of a line, and of all lines of a step.
MOST_LINE = 2000
MOST_TEXT = 128 * 1024


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A failed step. `lines` are its last ones, without times and colours; `total` counts all. None is unknown."""

    step: Step
    lines: tuple[str, ...] | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A failed job. `explained` is false for jobs over the limit.

    `last_lines` are the log's last ones, if they can't be assigned to steps. `problem` says what is missing and why.
    `log_complete` is None if it can't be known.
    """

    job: Job
    explained: bool = False
    steps: tuple[FailedStep, ...] = ()
    last_lines: tuple[str, ...] | None = None
    problem: str | None = None
    log_complete: bool | None = None


@dataclass(frozen=True, slots=True)
class LocatedAnnotation:
    """An annotation, the job whose log contains it, and the step's number, if it is known."""

    annotation: Annotation
    job: Job
    step: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A failed job, its detail, and the annotations in its log."""

    failed: FailedJob
    detail: JobDetail
    annotations: tuple[LocatedAnnotation, ...] = ()


@dataclass(slots=True)
class _StepTail:
    """A step's number of lines, and the last of them."""

    lines: deque[str]
    total: int = 0


@dataclass(slots=True)
class _Told:
    """What the page shows of steps: the ends of failed ones by place, and the places of wanted lines by hash."""

    tails: dict[int, _StepTail] = field(default_factory=dict)
    places: dict[int, set[int]] = field(default_factory=dict)


class Explain:
    """Explains jobs, each of the run that shows it in detail."""

    def __init__(self, logs: JobLogs, quota: CpuQuota) -> None:
        """`quota` limits the processor time of parsing."""
        self._logs, self._quota = logs, quota
        self._reader = LogReader(logs)

    def job(self, run: Run, lines: int) -> Explanation:
        """The explanation, with the last `lines` lines of each failed step. What can't be read is a `problem`."""
        job = run.jobs[run.detail.index]
        steps = run.failed_steps[-MOST_STEPS:]
        try:
            if not run.detail.started:
                raise not_started(run)
            part = self._reader.end(run, WINDOW)
        except ApiError as error:
            unread = FailedJob(job, True, tuple(FailedStep(step) for step in steps), None, error.message)
            return Explanation(unread, run.detail)
        raw = _raw_lines(part.data, cut=part.start > 0)
        texts = (_line(each) if b"::" in each else "" for each in self._quota.throttled(raw))
        found = list(annotations_in(texts))
        told, problem = self._told(run, part.size, steps, lines, [log_line_hash(raw[place]) for place, _ in found])
        explained = tuple(_failed_step(step, told) for step in steps)
        by_step = bool(explained) and told is not None
        last = None if by_step else _bounded([_line(each) for each in raw[max(len(raw) - lines, 0) :]])
        annotations = tuple(
            LocatedAnnotation(annotation, job, _step_of(log_line_hash(raw[place]), told)) for place, annotation in found
        )
        failed = FailedJob(job, True, explained, last, problem, is_complete(run))
        return Explanation(failed, run.detail, annotations)

    def _told(
        self, run: Run, size: int, steps: Sequence[Step], lines: int, wanted: Sequence[int]
    ) -> tuple[_Told | None, str | None]:
        """What the page shows of the steps, or None and why. Forgejo sends all lines; most are dropped here."""
        if size > MOST_TOLD:
            return None, f"the log has {size >> 20} MiB: its steps are told apart up to {MOST_TOLD >> 20} MiB"
        told = _Told(
            {step.number - 1: _StepTail(deque(maxlen=lines)) for step in steps}, {each: set() for each in wanted}
        )
        try:
            asked = range(len(run.detail.steps)) if wanted else told.tails
            for line in self._quota.throttled(self._logs.step_lines(run, dict.fromkeys(asked, 0))):
                if (tail := told.tails.get(line.step)) is not None:
                    tail.total += 1
                    tail.lines.append(line.message[: 2 * MOST_LINE])
                if told.places and (places := told.places.get(line_hash(line.timestamp, line.message))) is not None:
                    places.add(line.step)
        except ApiError as error:
            return None, f"the log's lines can't be told by step: {error.message}"
        return told, None


def _failed_step(step: Step, told: _Told | None) -> FailedStep:
    if told is None:
        return FailedStep(step)
    tail = told.tails[step.number - 1]
    return FailedStep(step, _bounded([_line(each.encode("utf-8", "replace")) for each in tail.lines]), tail.total)


def _step_of(wanted: int, told: _Told | None) -> int | None:
    """The number of the one step that has this line; None if none has it, or several."""
    places = told.places.get(wanted, ()) if told is not None else ()
    return next(iter(places)) + 1 if len(places) == 1 else None


def _raw_lines(data: bytes, cut: bool) -> list[bytes]:
    """A log's lines. If the data was `cut` at its start, the first line is left out."""
    raw = data.split(b"\n")
    if cut:
        del raw[0]
    if raw and not raw[-1]:
        del raw[-1]
    return raw


def _line(raw: bytes) -> str:
    """A line without its time and control sequences, cut at MOST_LINE characters."""
    text = ESCAPE.sub(b"", TIMESTAMP.sub(b"", raw, count=1)).decode("utf-8", "replace")
    return text if len(text) <= MOST_LINE else text[:MOST_LINE] + "…"


def _bounded(lines: list[str]) -> tuple[str, ...]:
    """As many of the last lines as fit into MOST_TEXT characters."""
    sizes = accumulate(len(line) for line in reversed(lines))
    kept = sum(size <= MOST_TEXT for size in sizes)
    return tuple(lines[len(lines) - kept :])
