"""Logs of tasks: rows as a runner sends them, or a big one made up on the fly."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Protocol

TICKS = 10_000_000  # per second: a row's time has seven digits
MAX_ROW = 64 * 1024
# The bytes of a row of a big log, and how many rows are made at once.
BIG_ROW, BIG_BLOCK = 128, 512


def stamp(ticks: int) -> str:
    """The time at the start of a row."""
    seconds, rest = divmod(ticks, TICKS)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:07d}Z"


def seconds(ticks: int) -> float:
    """The time in the view's JSON, with just the rounding of Forgejo's division."""
    return float(ticks * (1_000_000_000 // TICKS)) / 1e9


class Log(Protocol):
    """The bytes of a log and its rows."""

    @property
    def size(self) -> int: ...

    @property
    def rows(self) -> int: ...

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`."""
        ...

    def row(self, index: int) -> tuple[float, str]:
        """A row's time in unix seconds and its text."""
        ...

    def offset(self, index: int) -> int:
        """Where a row begins, in bytes; the size for the one after the last."""
        ...


class RowLog:
    """Rows kept in memory."""

    def __init__(self) -> None:
        self.hidden = 0  # bytes at the end that no reader sees yet: Forgejo writes a log in blocks
        self._data = bytearray()
        self._rows: list[tuple[float, str]] = []
        self._offsets: list[int] = []

    @property
    def size(self) -> int:
        return len(self._data) - self.hidden

    @property
    def rows(self) -> int:
        return len(self._rows)

    def append(self, ticks: int, text: str) -> None:
        """One row: embedded newlines become two characters, and what is too long is cut."""
        content = text.replace("\n", "\\n").encode()[:MAX_ROW]
        self._offsets.append(len(self._data))
        self._data += stamp(ticks).encode() + b" " + content + b"\n"
        self._rows.append((seconds(ticks), content.decode(errors="replace")))

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        yield bytes(self._data[start:stop])

    def row(self, index: int) -> tuple[float, str]:
        return self._rows[index]

    def offset(self, index: int) -> int:
        return [*self._offsets, self.size][index]


class BigLog:
    """A log of any size that takes no memory: rows of one length, the last one longer to fit."""

    def __init__(self, size: int, start: int) -> None:
        if size < BIG_ROW:
            raise ValueError(f"a big log has at least {BIG_ROW} bytes")
        self._size = size
        self._start = start

    @property
    def size(self) -> int:
        return self._size

    @property
    def rows(self) -> int:
        return self._size // BIG_ROW

    def _bytes_of(self, index: int) -> bytes:
        length = BIG_ROW + (self._size % BIG_ROW if index == self.rows - 1 else 0)
        head = f"{stamp(self._start + index * TICKS // 1000)} row {index} "
        return head.encode().ljust(length - 1, b"x") + b"\n"

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        stop = min(stop, self._size)
        while start < stop:
            first = min(start // BIG_ROW, self.rows - 1) // BIG_BLOCK * BIG_BLOCK
            block = _block(self, first)
            offset = start - first * BIG_ROW
            piece = block[offset : offset + stop - start]
            yield piece
            start += len(piece)

    def row(self, index: int) -> tuple[float, str]:
        text = self._bytes_of(index)[:-1].decode()
        return seconds(self._start + index * TICKS // 1000), text.partition(" ")[2]

    def offset(self, index: int) -> int:
        return index * BIG_ROW if index < self.rows else self._size


@functools.lru_cache(1024)  # 64 MB: many clients read the same start of a log, which costs Forgejo next to nothing
def _block(log: BigLog, first: int) -> bytes:
    """The bytes of some rows."""
    return b"".join(log._bytes_of(index) for index in range(first, min(first + BIG_BLOCK, log.rows)))
