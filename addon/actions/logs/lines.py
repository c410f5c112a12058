"""A log as blocks of whole lines, and operations on them. Pure functions over iterators of bytes.

A block ends at a line's end; only a log's last block may not. Only one block is in memory at a time, whatever the
size of the log is.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator

# Forgejo cuts lines at 64 KiB. A line longer than this is passed on in pieces.
MOST_CARRY = 1 << 20
TIMESTAMP = re.compile(rb"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z ", re.MULTILINE)
# Control sequences (colours, cursor), operating system commands (titles, links), and two-byte escapes.
ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, cut at line ends instead."""
    carry = b""
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if not end and len(carry) < MOST_CARRY:
            carry += chunk
            continue
        yield carry + chunk[:end]
        carry = chunk[end:]
    if carry:
        yield carry


def nth_line(block: bytes, number: int) -> int:
    """The position of a line in a block, by its number from 0."""
    place = 0
    for _ in range(number):
        place = block.index(b"\n", place) + 1
    return place


def last_lines(block: bytes, count: int) -> tuple[int, int]:
    """The position of a block's last `count` lines, and their number, which is smaller if the block has fewer."""
    place, found = len(block), 0
    if block.endswith(b"\n"):
        place -= 1
    while found < count:
        found += 1
        place = block.rfind(b"\n", 0, place)
        if place < 0:
            return 0, found
    return place + 1, found


def without_timestamps(whole: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without the time that Forgejo puts before each."""
    return (TIMESTAMP.sub(b"", block) for block in whole)


def without_escapes(whole: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without a terminal's control sequences: colours, titles, cursor movements."""
    return (ESCAPE.sub(b"", block) for block in whole)


def with_final_newline(whole: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks, with a line end after the last line, so that other text can follow."""
    last = b"\n"
    for block in whole:
        if block:
            yield block
            last = block
    if not last.endswith(b"\n"):
        yield b"\n"


def first_block_read(blocks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The blocks, with the first one read now, so that an error at the start is raised before a response begins.

    Close it to end the reading.
    """
    passing = _passing(blocks)
    next(passing)
    return passing


def _passing(blocks: Iterator[bytes]) -> Generator[bytes, None, None]:
    first = next(blocks, b"")
    yield b""
    yield first
    yield from blocks
