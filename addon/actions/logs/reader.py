"""Reads a job's log or a part of it: some steps, the last lines, without times or colours.

The log is read from Forgejo while it is passed on, in blocks of whole lines and constant memory.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from addon.actions.logs import lines
from addon.actions.logs.lines import Range
from addon.actions.query import Parameters
from addon.errors import NotFound, UpstreamUnexpected
from addon.forgejo.job_logs import TASK, JobLogs
from addon.model import Run

# How many bytes are read from a log's end to find its last lines: the first size, doubled up to the second.
FIRST_WINDOW, LAST_WINDOW = 128 * 1024, 1 << 20
CONTENT_RANGE = re.compile(r"bytes (\d+)-(-?\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which lines of a log are wanted, and how. `step` counts from 1; `failed` means all failed steps."""

    step: int | None = None
    failed: bool = False
    tail: int | None = None
    timestamps: bool = True
    ansi: bool = True

    @classmethod
    def of(cls, query: Parameters) -> LogOptions:
        """The options of a request."""
        return cls(query.step, query.failed_steps, query.tail, query.timestamps, query.ansi)

    @property
    def whole(self) -> bool:
        """Whether the log is wanted unchanged."""
        return self == LogOptions()

    @property
    def by_step(self) -> bool:
        """Whether only some steps are wanted."""
        return self.step is not None or self.failed

    def applied(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The lines without times and control sequences, if they are not wanted."""
        if not self.timestamps:
            blocks = lines.without_timestamps(blocks)
        if not self.ansi:
            blocks = lines.without_escapes(blocks)
        return iter(blocks)


@dataclass(frozen=True, slots=True)
class LogPart:
    """Bytes of a log from `start` on, and the log's size. `task` is Forgejo's id of the attempt, or empty."""

    data: bytes
    start: int
    size: int
    task: str = ""


class LogReader:
    """Reads the log of the job that a run shows in detail."""

    def __init__(self, logs: JobLogs) -> None:
        self._logs = logs

    def read(self, run: Run, options: LogOptions) -> Iterator[bytes]:
        """Blocks of whole lines. The first one raises like `JobLogs.open`, and NotFound for a missing step."""
        return options.applied(self._chosen(run, options))

    def part(self, run: Run, start: int, stop: int) -> LogPart:
        """The log's bytes from `start` to before `stop`, less if it ends sooner; no more than some megabytes."""
        return self._part(run, start, f"bytes={start}-{stop - 1}")

    def end(self, run: Run, size: int) -> LogPart:
        """The log's last bytes."""
        return self._part(run, 0, f"bytes=-{size}")

    def stream(self, run: Run, start: int = 0, stop: int | None = None) -> Generator[bytes, None, None]:
        """Blocks of the log, from a byte to before another."""
        if start == stop:
            return
        headers = {} if (start, stop) == (0, None) else {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        log = self._logs.open(run, headers=headers)
        if log.body is None:  # nothing there yet
            return
        with closing(log.body):
            if headers and log.status != 206:
                raise UpstreamUnexpected("Forgejo sends a whole log where a part of it was asked for")
            yield from lines.blocks(log.body)

    def last_lines(self, run: Run, count: int) -> tuple[int, int]:
        """Where the last `count` lines begin, in bytes, and the log's size. Only they are read, from the end."""
        window = FIRST_WINDOW
        part = self.end(run, window)
        begin, size = part.start, part.size
        place, found = lines.last_lines(part.data, count) if part.data else (0, 0)
        # A line that begins before the window is not whole in it: it is counted with the next one.
        while begin and (place == 0):
            count -= found - 1
            rest = part.data.partition(b"\n")[0] + b"\n"
            window = min(window * 4, LAST_WINDOW)
            part = self.part(run, max(begin - window, 0), begin)
            data = part.data + rest
            begin = part.start
            place, found = lines.last_lines(data, count)
            part = LogPart(data, begin, size)
        return begin + place, size

    def ranges(self, run: Run, options: LogOptions) -> tuple[Range, ...]:
        """The lines of the steps that are wanted; none when no step of a failed job failed."""
        chosen = _steps(run, options)
        lengths = self._logs.step_lengths(run)
        ranges = (Range(sum(lengths[:step]), lengths[step]) for step in chosen)
        return tuple(each if options.tail is None else each.last(options.tail) for each in ranges)

    def _chosen(self, run: Run, options: LogOptions) -> Iterator[bytes]:
        ranges = self.ranges(run, options) if options.by_step else ()
        if ranges or options.step is not None:
            with closing(self.stream(run)) as whole:
                yield from lines.select(whole, ranges)
        elif options.tail is not None:
            yield from self.stream(run, *self.last_lines(run, options.tail))
        else:
            yield from self.stream(run)

    def _part(self, run: Run, start: int, wanted: str) -> LogPart:
        log = self._logs.open(run, headers={"Range": wanted})
        found = TASK.search(log.headers.get("content-disposition", ""))
        task = found[1] if found else ""
        if log.body is None:
            return LogPart(b"", start, _size(log.headers, start), task)
        with closing(log.body):
            if log.status == 206:
                match = CONTENT_RANGE.fullmatch(log.headers.get("content-range", ""))
                if match is None:
                    raise UpstreamUnexpected("Forgejo sends a part of a log and doesn't say which")
                return LogPart(b"".join(log.body), int(match[1]), int(match[3]), task)
            if log.headers.get("content-length") == "0":  # of an empty log no part is sent
                return LogPart(b"", 0, 0, task)
        raise UpstreamUnexpected("Forgejo sends a whole log where a part of it was asked for")


def _steps(run: Run, options: LogOptions) -> list[int]:
    """The wanted steps' places, from 0."""
    steps = run.detail.steps
    if options.step is None:
        return [step.number - 1 for step in run.detail.failed_steps]
    if options.step > len(steps):
        names = ", ".join(f"{step.number} ({step.name})" for step in steps[:20]) or "none yet"
        raise NotFound(f"job {run.detail.index} ({run.detail.name}) has no step {options.step}; steps: {names}")
    return [options.step - 1]


def _size(headers: Mapping[str, str], start: int) -> int:
    """That of an unsatisfied Range's answer: `bytes */123`."""
    text = headers.get("content-range", "").rpartition("/")[2]
    return int(text) if text.isdecimal() else start
