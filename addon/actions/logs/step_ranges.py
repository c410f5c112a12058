"""Which lines of a job's log belong to a step.

Forgejo shows a step's lines, but not where they are in the log. The steps are not end to end: a runner may leave lines
between two steps, and "Complete job" may begin before the last step ends. So the step's lines are looked for in the
log. Time and text of each line are compared, by their hashes.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from functools import lru_cache

from addon.actions.logs.reader import LogReader
from addon.errors import LogTooLarge
from addon.forgejo.job_logs import JobLogs
from addon.limits import Limiter
from addon.model import LineRange, Run

# The largest log that is searched, in bytes. Forgejo keeps a step's lines in memory while it sends them.
MOST_SEARCHED = 64 << 20
# Each search needs up to some ten megabytes.
AT_ONCE = 8
TIME = re.compile(rb"([0-9-]{10}T[0-9:]{8})(?:\.([0-9]{1,9}))?Z ")
# Forgejo's JSON replaces each byte of broken UTF-8, Python's decoder several at once.
REPLACED = re.compile("\N{REPLACEMENT CHARACTER}+")


class LogIndex:
    """The lines of a log, each by the hash of its time and text, and by its position in bytes."""

    def __init__(self, blocks: Iterable[bytes], start: int = 0) -> None:
        """`blocks` have whole lines. `start` is the position of the first byte."""
        self.size = start
        self._hashes = array("q")
        self._starts = array("Q")
        for block in blocks:
            for line in block.removesuffix(b"\n").split(b"\n"):
                self._hashes.append(log_line_hash(line))
                self._starts.append(self.size)
                self.size += len(line) + 1

    def find(self, hashes: array[int], first: int = 0) -> LineRange | None:
        """Where these lines stand one behind the other, from line `first` on; None if they don't."""
        width = hashes.itemsize
        log, wanted = self._hashes.tobytes(), hashes.tobytes()
        place = log.find(wanted, first * width)
        while place % width and place >= 0:
            place = log.find(wanted, place + 1)
        return None if place < 0 else LineRange(place // width, len(hashes))

    @property
    def lines(self) -> int:
        """The number of lines."""
        return len(self._hashes)

    def find_begun(self, hashes: array[int]) -> LineRange | None:
        """As `find`, but the log may end before these lines do. Then the range has those that are there."""
        found = self.find(hashes)
        if found is None and (count := _overlap(self._hashes[max(self.lines + 1 - len(hashes), 0) :], hashes)):
            return LineRange(self.lines - count, count)
        return found

    def position(self, line: int) -> int:
        """The position of a line in bytes; of the line behind the last one, the end."""
        return self._starts[line] if line < len(self._starts) else self.size


class StepRanges:
    """Finds the lines of steps, in the log of the job that a run shows in detail."""

    def __init__(self, logs: JobLogs, reader: LogReader) -> None:
        self._logs, self._reader = logs, reader
        self._limiter = Limiter("readers of steps", AT_ONCE)

    def find(self, run: Run, steps: Sequence[int]) -> tuple[LogIndex, list[LineRange | None]]:
        """The log, and the lines of the steps (places from 0) in it. None is a step whose lines are not in the log.

        A step without lines has the count 0. Raises LogTooLarge.
        """
        with self._limiter.acquire():
            check_size(run, self._reader.end(run, 1).size)
            shown = {step: array("q") for step in steps}
            for line in self._logs.step_lines(run, dict.fromkeys(steps, 0)):
                shown[line.step].append(line_hash(line.timestamp, line.message))
            with closing(self._reader.stream(run)) as whole:
                index = LogIndex(whole)
        return index, list(_places(index, [shown[step] for step in steps]))


def _places(index: LogIndex, shown: Iterable[array[int]]) -> Iterator[LineRange | None]:
    """The steps' lines. If the same lines stand at two places, the later step has the later ones."""
    behind = 0
    for hashes in shown:
        if not hashes:
            yield LineRange(behind, 0)
            continue
        found = index.find(hashes, behind) or index.find(hashes)
        behind = behind if found is None else found.first + found.count
        yield found


def _overlap(log: array[int], wanted: array[int]) -> int:
    """How many of the first wanted lines are also the last lines of the log, which has fewer lines than are wanted.

    It takes linear time, also if all lines are alike (the algorithm of Knuth, Morris and Pratt). `borders` says of each
    beginning of the wanted lines how many lines both begin and end it, if not all.
    """
    borders = array("q", [0])
    for line in wanted[1:]:
        borders.append(_overlap_with(line, borders[-1], borders, wanted))
    count = 0
    for line in log:
        count = _overlap_with(line, count, borders, wanted)
    return count


def _overlap_with(line: int, count: int, borders: array[int], wanted: array[int]) -> int:
    """The new overlap after one more line, if it was `count` before."""
    while count and wanted[count] != line:
        count = borders[count - 1]
    return count + (wanted[count] == line)


def check_size(run: Run, size: int) -> None:
    """Raises LogTooLarge for a log that is too large to search."""
    if size > MOST_SEARCHED:
        raise LogTooLarge(
            f"the log of job {run.detail.index} ({run.detail.name}) has {size >> 20} MiB: its steps are told apart up "
            f"to {MOST_SEARCHED >> 20} MiB; ask for the whole log, or for its end"
        )


def line_hash(timestamp: float, message: str) -> int:
    """The hash of a line by its time, in seconds since 1970, and its text."""
    return hash((timestamp, REPLACED.sub("\N{REPLACEMENT CHARACTER}", message)))


def log_line_hash(line: bytes) -> int:
    """The hash of a line of a log. Its time becomes the same floating-point number as in Forgejo's JSON."""
    match = TIME.match(line)
    if match is None:
        return 0
    try:
        nanoseconds = _seconds(match[1]) * 1_000_000_000 + int((match[2] or b"0").ljust(9, b"0"))
    except ValueError:
        return 0
    message = line[match.end() :].removesuffix(b"\r")
    return line_hash(float(nanoseconds) / 1e9, message.decode("utf-8", "replace"))


@lru_cache(maxsize=64)
def _seconds(text: bytes) -> int:
    return round(datetime.fromisoformat(f"{text.decode()}+00:00").timestamp())
