"""Reads bytes of a job's log: a part of it, its end, or a stream of blocks of whole lines, in constant memory."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass

from addon.actions.logs import lines
from addon.errors import UpstreamUnexpected
from addon.forgejo.job_logs import CallersLogs, JobLogs
from addon.forgejo.log_body import task_in
from addon.model import Run

# How many bytes are read from a log's end to find its last lines: the first size, doubled up to the second.
FIRST_WINDOW, LAST_WINDOW = 128 * 1024, 1 << 20
CONTENT_RANGE = re.compile(r"bytes (\d+)-(-?\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class LogPart:
    """Bytes of a log from `start` on, and the log's size. `task` is Forgejo's id of the attempt, or empty."""

    data: bytes
    start: int
    size: int
    task: str = ""


class LogReader:
    """Reads the log of the job that a run shows in detail."""

    def __init__(self, logs: JobLogs | CallersLogs) -> None:
        self._logs = logs

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

    def _part(self, run: Run, start: int, wanted: str) -> LogPart:
        log = self._logs.open(run, headers={"Range": wanted})
        task = task_in(log.headers)
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


def _size(headers: Mapping[str, str], start: int) -> int:
    """That of an unsatisfied Range's answer: `bytes */123`."""
    text = headers.get("content-range", "").rpartition("/")[2]
    return int(text) if text.isdecimal() else start
