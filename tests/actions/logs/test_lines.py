"""Blocks of whole lines: cutting, selecting, and taking things out, against the plain way over a list of lines."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from addon.actions.logs.lines import (
    Range,
    blocks,
    last_lines,
    nth_line,
    select,
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


@given(
    LINES,
    st.lists(st.integers(0, 200)),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=4),
)
def test_select_takes_just_the_lines_of_the_ranges(
    lines: list[bytes], cuts: list[int], gaps: list[tuple[int, int]]
) -> None:
    if lines and len(cuts) % 2:
        lines[-1] = b"without an end"
    ranges, place = [], 0
    for gap, count in gaps:
        ranges.append(Range(place + gap, count))
        place += gap + count
    expected = b"".join(b"".join(lines[each.first : each.first + each.count]) for each in ranges)
    assert b"".join(select(blocks(chunked(b"".join(lines), cuts)), ranges)) == expected


@given(LINES, st.integers(1, 40))
def test_last_lines(lines: list[bytes], count: int) -> None:
    data = b"".join(lines)
    if data:
        place, found = last_lines(data, count)
        assert data[place:] == b"".join(lines[-count:])
        assert found == min(count, len(lines))


def test_a_selection_reads_no_further_than_it_must() -> None:
    def source() -> object:
        yield b"a\nb\n"
        yield b"c\n"
        raise AssertionError("read on")

    assert b"".join(select(source(), [Range(1, 1)])) == b"b\n"  # type: ignore[arg-type]


def test_the_last_lines_of_a_range() -> None:
    assert Range(10, 5).last(2) == Range(13, 2)
    assert Range(10, 5).last(9) == Range(10, 5)
    assert nth_line(b"a\nb\nc\n", 2) == 4


def test_timestamps_and_escapes_go_and_the_rest_stays() -> None:
    line = b"2026-11-24T02:15:48.0000007Z \x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\ 2026-11-24T02:15:48Z \x1bMx\n"
    assert b"".join(without_timestamps([line])) == line[29:]
    assert b"".join(without_escapes([line])) == b"2026-11-24T02:15:48.0000007Z red link 2026-11-24T02:15:48Z x\n"
