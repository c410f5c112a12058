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
# Everything that a terminal obeys (ECMA-48), but for tabs and line ends. Forgejo's logs are UTF-8, in which a control
# of the upper half (C1) is two bytes. What begins with the control is removed up to its end, or up to the line's end.
ESCAPE = re.compile(
    rb"""
    [\x00-\x08\x0b\x0c\x0e-\x1f\x7f\xc2]  # looked for first, which is fast; the rest says what it is
    (?:
        (?: (?<=\x1b)\[ | (?<=\xc2)\x9b )  # control sequence: colours, cursor
        [0-?]*+ [ -/]*+ [@-~]?
    |
        (?: (?<=\x1b)[PX\]^_] | (?<=\xc2)[\x90\x98\x9d-\x9f] )  # string: title, link, device control
        (?: [^\x07\x18\x1a\x1b\n\xc2] | \xc2(?!\x9c) )*+ (?: [\x07\x18\x1a] | \x1b\\ | \xc2\x9c )?
    |
        (?<=\x1b)[ -/]*+[0-~]?  # escape sequence: character set, reset, saved cursor
    |
        (?<=\xc2)[\x80-\x9f]  # other C1 control
    |
        (?<=[\x00-\x1f\x7f])  # C0 control
    )
    """,
    re.VERBOSE,
)
# A C1 control as one byte, which is not part of a character in UTF-8.
RAW_CONTROL = re.compile(
    rb"[\x80-\x9f](?<![\xc2-\xf4].)(?<![\xe0-\xf4][\x80-\xbf].)(?<![\xf0-\xf4][\x80-\xbf]{2}.)", re.DOTALL
)


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
    """Lines without controls: colours, titles, cursor movements, and every other one but tabs and line ends."""
    return map(_without_escapes, whole)


def _without_escapes(block: bytes) -> bytes:
    plain = ESCAPE.sub(b"", block)
    try:
        plain.decode()
    except UnicodeDecodeError:
        return RAW_CONTROL.sub(b"", plain)
    return plain


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
