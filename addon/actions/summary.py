"""Why a run failed: the failed steps' last lines, and the annotations that its failed jobs' logs hold.

Bounded, however many jobs failed and however long their logs are: so many jobs are explained, of each log the end is
read, and what could not be told says why.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from addon import trace
from addon.actions.annotations import Annotation, annotations_in
from addon.actions.logs.lines import ESCAPE, TIMESTAMP
from addon.actions.logs.reader import LogReader
from addon.errors import ApiError
from addon.forgejo.artifacts import Artifacts
from addon.forgejo.job_logs import JobLogs, not_started
from addon.forgejo.web_ui import Forgejo
from addon.limits import Gate
from addon.model import Artifact, Job, JobDetail, Run, Status, Step

SIDE_BY_SIDE = 4
MOST_JOBS = 10
MOST_STEPS = 5
MOST_ANNOTATIONS = 50
# Bytes of a log's end that are read, and the largest log whose steps are told apart, for which all of it is counted.
WINDOW = 1 << 20
MOST_COUNTED = 16 << 20
# Characters of a line, and of all lines of a step that are given.
MOST_LINE = 2000
MOST_TEXT = 128 * 1024
# Each holds some megabytes while it is made.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step and its last lines, without times and colours; None where they could not be told. `total` counts all."""

    step: Step
    lines: tuple[str, ...] | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that failed. `explained` is false for those past the bound. `last_lines` are the log's, where they can't be
    told by step; `problem` says what is missing and why."""

    job: Job
    explained: bool = False
    steps: tuple[FailedStep, ...] = ()
    last_lines: tuple[str, ...] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An annotation, the job whose log holds it, and the step's number if that is known."""

    annotation: Annotation
    job: Job
    step: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`annotations` are the first of `annotations_found`."""

    run: Run
    details: Mapping[int, JobDetail]
    failed: tuple[FailedJob, ...]
    annotations: tuple[Found, ...]
    annotations_found: int
    artifacts: tuple[Artifact, ...]

    @property
    def explained(self) -> int:
        """How many of the failed jobs are explained, which are the first."""
        return sum(each.explained for each in self.failed)

    @property
    def rerun_tail(self) -> str:
        """What follows the run's path to run it again: what failed of it, or all of a run in which nothing did."""
        return "/rerun?job=failed" if self.failed else "/rerun"

    @property
    def rerun_destroys(self) -> bool:
        """Whether there are artifacts that a rerun would delete."""
        return self.run.rerun_deletes_artifacts and bool(self.artifacts)


class Explainer:
    """Reads what explains a run."""

    def __init__(self, forgejo: Forgejo, logs: JobLogs, artifacts: Artifacts) -> None:
        self._forgejo = forgejo
        self._logs = logs
        self._reader = LogReader(logs)
        self._artifacts = artifacts
        self._places = Gate("summaries", AT_ONCE)

    def explain(self, run: Run, lines: int) -> Explanation:
        """The run with the last `lines` lines of each failed step. A log that can't be had is told, not raised."""
        failed = [job for job in run.jobs if job.status is Status.FAILURE]
        with self._places.take(), trace.pool(SIDE_BY_SIDE) as pool:
            artifacts = pool.submit(self._artifacts.list, run)
            read = list(pool.map(lambda job: self._job(run, job, lines), failed[:MOST_JOBS]))
            listed = artifacts.result()
        found = [each for _, _, of_job in read for each in of_job]
        return Explanation(
            run=run,
            details={detail.index: detail for _, detail, _ in read},
            failed=tuple(job for job, _, _ in read) + tuple(FailedJob(job) for job in failed[MOST_JOBS:]),
            annotations=tuple(found[:MOST_ANNOTATIONS]),
            annotations_found=len(found),
            artifacts=listed,
        )

    def _job(self, run: Run, job: Job, lines: int) -> tuple[FailedJob, JobDetail, list[Found]]:
        page = self._forgejo.run(run.repo, run.number, job.index)
        steps = page.detail.failed_steps[-MOST_STEPS:]
        try:
            if not page.detail.started:
                raise not_started(page)
            part = self._reader.end(page, WINDOW)
        except ApiError as error:
            unread = FailedJob(job, True, tuple(FailedStep(step) for step in steps), None, error.message)
            return unread, page.detail, []
        window = _lines(part.data, cut=part.start > 0)
        lengths, problem = self._lengths(page, part.size)
        first = sum(lengths) - len(window) if lengths and part.start else 0
        told = tuple(_told(step, window, first, lengths, lines) for step in steps)
        if lengths and any(step.lines is None for step in told):
            problem = f"a failed step's lines are not among the log's last {WINDOW >> 20} MiB, which are read"
        by_step = bool(told) and all(step.lines is not None for step in told)
        last = None if by_step else _bounded(window[max(len(window) - lines, 0) :])
        ends = list(accumulate(lengths))
        found = [
            Found(annotation, job, bisect_right(ends, first + place) + 1 if ends else None)
            for place, annotation in annotations_in(window)
        ]
        return FailedJob(job, True, told, last, problem), page.detail, found

    def _lengths(self, page: Run, size: int) -> tuple[Sequence[int], str | None]:
        """How many lines each step has, or none and why not: Forgejo sends them all to be counted."""
        if size > MOST_COUNTED:
            return (), f"the log has {size >> 20} MiB: its steps are told apart up to {MOST_COUNTED >> 20} MiB"
        try:
            return self._logs.step_lengths(page), None
        except ApiError as error:
            return (), f"the log's lines can't be told by step: {error.message}"


def _lines(data: bytes, cut: bool) -> list[str]:
    """A log's lines, without times and colours. Of one that was `cut` at its start the first is not whole."""
    raw = data.split(b"\n")
    if cut:
        del raw[0]
    if raw and not raw[-1]:
        del raw[-1]
    return [_line(each) for each in raw]


def _line(raw: bytes) -> str:
    text = ESCAPE.sub(b"", TIMESTAMP.sub(b"", raw)).decode("utf-8", "replace")
    return text if len(text) <= MOST_LINE else text[:MOST_LINE] + "…"


def _told(step: Step, window: list[str], first: int, lengths: Sequence[int], lines: int) -> FailedStep:
    """The step's last lines, if `window`, which begins with the log's line `first`, holds them."""
    if not lengths:
        return FailedStep(step)
    start = sum(lengths[: step.number - 1])
    stop = start + lengths[step.number - 1]
    start = max(start, stop - lines)
    if start < first or stop - first > len(window):
        return FailedStep(step, None, lengths[step.number - 1])
    return FailedStep(step, _bounded(window[start - first : stop - first]), lengths[step.number - 1])


def _bounded(lines: list[str]) -> tuple[str, ...]:
    """As many of the last lines as are not too much text."""
    sizes = accumulate(len(line) for line in reversed(lines))
    kept = sum(size <= MOST_TEXT for size in sizes)
    return tuple(lines[len(lines) - kept :])
