"""The use case of a summary: why a run failed, by the failed steps' last lines and the annotations in the logs.

Many failed jobs and long logs must not make it expensive. So only the first failed jobs are explained, and only the end
of each log is read. What is missing says why.
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
from addon.actions.query import Query
from addon.actions.waiting import IsDisconnected, Waiting
from addon.caller import Caller
from addon.errors import ApiError, ClientDisconnected
from addon.forgejo.artifacts import ArtifactPages
from addon.forgejo.job_logs import JobLogs, not_started
from addon.forgejo.web_ui import WebUi
from addon.limits import SharedLimiter
from addon.model import Artifact, Job, JobDetail, Run, Status, Step

SIDE_BY_SIDE = 4
MOST_JOBS = 10
MOST_STEPS = 5
MOST_ANNOTATIONS = 50
# How many bytes of a log's end are read, and the size of the largest log whose lines are counted by step.
WINDOW = 1 << 20
MOST_COUNTED = 16 << 20
# The most characters of a line, and of all lines of a step.
MOST_LINE = 2000
MOST_TEXT = 128 * 1024
# Each summary needs some megabytes while it is made.
AT_ONCE = 8


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
    """

    job: Job
    explained: bool = False
    steps: tuple[FailedStep, ...] = ()
    last_lines: tuple[str, ...] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LocatedAnnotation:
    """An annotation, the job whose log contains it, and the step's number, if it is known."""

    annotation: Annotation
    job: Job
    step: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run and why it failed. `details` are by job index; `annotations` are the first of `annotations_found`."""

    run: Run
    details: Mapping[int, JobDetail]
    failed: tuple[FailedJob, ...]
    annotations: tuple[LocatedAnnotation, ...]
    annotations_found: int
    artifacts: tuple[Artifact, ...]

    @property
    def explained(self) -> int:
        """How many failed jobs are explained; they are the first ones."""
        return sum(each.explained for each in self.failed)

    def attempt(self, job: Job) -> int | None:
        """The attempt by which a failed job is explained. None if it isn't, and before v13."""
        detail = self.details.get(job.index)
        return detail.attempt if detail else None

    @property
    def rerun_tail(self) -> str:
        """The path below the run that reruns it: the failed jobs, or all if none failed."""
        return "/rerun?job=failed" if self.failed else "/rerun"

    @property
    def rerun_deletes(self) -> bool:
        """Whether there are artifacts that a rerun would delete."""
        return self.run.rerun_deletes_artifacts and bool(self.artifacts)


class Summarize:
    """Makes summaries."""

    def __init__(self, waiting: Waiting, web_ui: WebUi, logs: JobLogs, artifacts: ArtifactPages) -> None:
        self._waiting = waiting
        self._web_ui = web_ui
        self._logs = logs
        self._reader = LogReader(logs)
        self._artifacts = artifacts
        self._limiter = SharedLimiter("summaries", AT_ONCE)

    def summarize(self, query: Query, caller: Caller, is_disconnected: IsDisconnected) -> Summary:
        """The summary of a run, with the last `query.lines` lines of each failed step.

        A log that can't be read is mentioned in the summary; it is no error.
        """
        run = self._waiting.run_with_details(query, caller, is_disconnected)
        with trace.timed("forgejo"):
            return self._summarize(run, query.lines, is_disconnected)

    def _summarize(self, run: Run, lines: int, is_disconnected: IsDisconnected) -> Summary:
        def explain(job: Job) -> tuple[FailedJob, JobDetail, list[LocatedAnnotation]]:
            if is_disconnected():
                raise ClientDisconnected("the client has disconnected")
            return self._job(run, job, lines)

        failed = [job for job in run.jobs if job.status is Status.FAILURE]
        with self._limiter.acquire(), trace.pool(SIDE_BY_SIDE) as pool:
            artifacts = pool.submit(self._artifacts.list, run)
            read = list(pool.map(explain, failed[:MOST_JOBS]))
            listed = artifacts.result()
        found = [each for _, _, of_job in read for each in of_job]
        return Summary(
            run=run,
            details={detail.index: detail for _, detail, _ in read},
            failed=tuple(job for job, _, _ in read) + tuple(FailedJob(job) for job in failed[MOST_JOBS:]),
            annotations=tuple(found[:MOST_ANNOTATIONS]),
            annotations_found=len(found),
            artifacts=listed,
        )

    def _job(self, run: Run, job: Job, lines: int) -> tuple[FailedJob, JobDetail, list[LocatedAnnotation]]:
        page = self._web_ui.run(run.repo, run.number, job.index)
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
        explained = tuple(_last_lines(step, window, first, lengths, lines) for step in steps)
        if lengths and any(step.lines is None for step in explained):
            problem = f"a failed step's lines are not among the log's last {WINDOW >> 20} MiB, which are read"
        by_step = bool(explained) and all(step.lines is not None for step in explained)
        last = None if by_step else _bounded(window[max(len(window) - lines, 0) :])
        ends = list(accumulate(lengths))
        found = [
            LocatedAnnotation(annotation, job, bisect_right(ends, first + place) + 1 if ends else None)
            for place, annotation in annotations_in(window)
        ]
        return FailedJob(job, True, explained, last, problem), page.detail, found

    def _lengths(self, page: Run, size: int) -> tuple[Sequence[int], str | None]:
        """The number of lines of each step, or none and why. Forgejo sends all lines for them to be counted."""
        if size > MOST_COUNTED:
            return (), f"the log has {size >> 20} MiB: its steps are told apart up to {MOST_COUNTED >> 20} MiB"
        try:
            return self._logs.step_lengths(page), None
        except ApiError as error:
            return (), f"the log's lines can't be told by step: {error.message}"


def _lines(data: bytes, cut: bool) -> list[str]:
    """A log's lines, without times and colours. If the data was `cut` at its start, the first line is left out."""
    raw = data.split(b"\n")
    if cut:
        del raw[0]
    if raw and not raw[-1]:
        del raw[-1]
    return [_line(each) for each in raw]


def _line(raw: bytes) -> str:
    text = ESCAPE.sub(b"", TIMESTAMP.sub(b"", raw)).decode("utf-8", "replace")
    return text if len(text) <= MOST_LINE else text[:MOST_LINE] + "…"


def _last_lines(step: Step, window: list[str], first: int, lengths: Sequence[int], lines: int) -> FailedStep:
    """The step's last lines, if they are in `window`, which begins with the log's line `first`."""
    if not lengths:
        return FailedStep(step)
    start = sum(lengths[: step.number - 1])
    stop = start + lengths[step.number - 1]
    start = max(start, stop - lines)
    if start < first or stop - first > len(window):
        return FailedStep(step, None, lengths[step.number - 1])
    return FailedStep(step, _bounded(window[start - first : stop - first]), lengths[step.number - 1])


def _bounded(lines: list[str]) -> tuple[str, ...]:
    """As many of the last lines as fit into MOST_TEXT characters."""
    sizes = accumulate(len(line) for line in reversed(lines))
    kept = sum(size <= MOST_TEXT for size in sizes)
    return tuple(lines[len(lines) - kept :])
