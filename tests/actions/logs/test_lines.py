"""Blocks of whole lines: cutting, selecting, and taking things out, against the plain way over a list of lines."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from addon.actions.logs.lines import (
    blocks,
    last_lines,
    nth_line,
    with_final_newline,
    without_escapes,
    without_timestamps,
)

LINE = st.binary(max_size=6).map(lambda text: text.replace(b"\n", b"") + b"\n")
LINES = st.lists(LINE, max_size=30)


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


@given(LINES, st.lists(st.integers(0, 200)), st.binary(max_size=3).map(lambda text: text.replace(b"\n", b"")))
def test_blocks_hold_the_same_bytes_and_whole_lines(lines: list[bytes], cuts: list[int], rest: bytes) -> None:
    data = b"".join(lines) + rest
    cut = list(blocks(chunked(data, cuts)))
    assert b"".join(cut) == data
    assert all(block.endswith(b"\n") for block in cut[:-1])
    assert b"".join(with_final_newline(cut)) == (data + b"\n" if rest else data)


@given(LINES, st.integers(1, 40))
def test_last_lines(lines: list[bytes], count: int) -> None:
    data = b"".join(lines)
    if data:
        place, found = last_lines(data, count)
        assert data[place:] == b"".join(lines[-count:])
        assert found == min(count, len(lines))


def test_a_line_by_its_number() -> None:
    assert nth_line(b"a\nb\nc\n", 2) == 4


def test_timestamps_and_escapes_go_and_the_rest_stays() -> None:
    line = b"2026-11-24T02:15:48.0000007Z \x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\ 2026-11-24T02:15:48Z \x1bMx\n"
    assert b"".join(without_timestamps([line])) == line[29:]
    assert b"".join(without_escapes([line])) == b"2026-11-24T02:15:48.0000007Z red link 2026-11-24T02:15:48Z x\n"
