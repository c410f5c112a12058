"""Reads the wanted lines of a job's log: all, some steps, or the last ones, without times or control sequences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from addon.actions.logs.options import LogOptions
from addon.actions.logs.reader import LogReader
from addon.actions.logs.step_ranges import StepRanges
from addon.errors import NotFound, UpstreamUnexpected
from addon.forgejo.job_logs import JobLogs
from addon.model import Run


class WantedLines:
    """Reads the log of the job that a run shows in detail."""

    def __init__(self, logs: JobLogs) -> None:
        self._reader = LogReader(logs)
        self._ranges = StepRanges(logs, self._reader)

    def read(self, run: Run, options: LogOptions) -> Iterator[bytes]:
        """Blocks of whole lines. The first one raises like `JobLogs.open`, and NotFound for a missing step."""
        return options.applied(self._chosen(run, options))

    def _chosen(self, run: Run, options: LogOptions) -> Iterator[bytes]:
        if options.by_step:
            parts = self._of_steps(run, wanted_steps(run, options), options.tail)
        elif options.tail is not None:
            parts = [self._reader.last_lines(run, options.tail)]
        else:
            parts = [(0, None)]
        for start, stop in parts:
            with closing(self._reader.stream(run, start, stop)) as part:
                yield from part

    def _of_steps(self, run: Run, steps: list[int], tail: int | None) -> list[tuple[int, int | None]]:
        """The positions of the steps' lines in bytes. Raises UpstreamUnexpected for lines that are not in the log."""
        index, ranges = self._ranges.find(run, steps)
        parts: list[tuple[int, int | None]] = []
        for step, found in zip(steps, ranges, strict=True):
            if found is None:
                raise UpstreamUnexpected(f"the lines that Forgejo shows of step {step + 1} are not in the job's log")
            kept = found if tail is None else found.last(tail)
            parts.append((index.position(kept.first), index.position(kept.first + kept.count)))
        return parts


def wanted_steps(run: Run, options: LogOptions) -> list[int]:
    """The wanted steps' places, from 0. Raises NotFound if there is no such step, or if no step failed."""
    job, steps = f"job {run.detail.index} ({run.detail.name})", run.detail.steps
    if options.step is None:
        failed = [step.number - 1 for step in run.failed_steps]
        if not failed:
            raise NotFound(f"no step of {job} failed ({run.detail_status})")
        return failed
    if options.step > len(steps):
        names = ", ".join(f"{step.number} ({step.name})" for step in steps[:20]) or "none yet"
        raise NotFound(f"{job} has no step {options.step}; steps: {names}")
    return [options.step - 1]
