"""Blocks of whole lines: cutting, selecting, and taking things out, against the plain way over a list of lines."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
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


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b(Bx\x1b)0y\x1b#8z", "xyz"),  # character sets, alignment
        ("\x1bcx\x1b7y\x1b8z\x1b=", "xyz"),  # reset, cursor saved and restored, keypad
        ("\x1b]0;title\x07x\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "xlink"),
        ("a\x1bP1$r0m\x1b\\b\x1b_command\x1b\\c\x1b^private\x1b\\d\x1bXstart\x1b\\e", "abcde"),
        ("\x9b31mred\x9b0m \x9d0;title\x9cx \x90q\x9cy \x85z", "red x y z"),  # of the upper half
        ("\x1b]0;title ✓ é · \x07x", "x"),  # whose UTF-8 has the bytes of controls
        ("a\x1b[31", "a"),
        ("a\x1b", "a"),
        ("\x1b[1\x1b[0mx", "x"),
        ("\x1b]0;no end", ""),
        ("bell\x07 back\x08 shift\x0e\x0f nul\x00 del\x7f feed\x0c\x0b", "bell back shift nul del feed"),
        ("ünïcödé ✓ 日本語 🎉 · £ \xa0\ttab\rreturn", "ünïcödé ✓ 日本語 🎉 · £ \xa0\ttab\rreturn"),
    ],
)
def test_a_line_without_controls(text: str, plain: str) -> None:
    assert b"".join(without_escapes([f"{text}\nnext".encode()])).decode() == f"{plain}\nnext"


def test_controls_that_are_no_utf_8() -> None:
    text = b"x\x9b31m \xc3\xa9\x9by \xe2\x9c\x93\x85z \xf0\x9f\x8e\x89\x80"
    assert b"".join(without_escapes([text])) == b"x31m \xc3\xa9y \xe2\x9c\x93z \xf0\x9f\x8e\x89"


ANYTHING = st.text(
    st.one_of(st.sampled_from("\x1b[]PX^_\\\x9b\x9c\x9d\x90\x07\x18(0;mB c✓\n\t"), st.characters(codec="utf-8"))
)


@given(ANYTHING)
def test_no_control_is_left_and_nothing_else_is_harmed(text: str) -> None:
    left = b"".join(without_escapes([text.encode()])).decode()
    assert not [each for each in left if unicodedata.category(each) == "Cc" and each not in "\t\n\r"]
    assert left.count("\n") == text.count("\n")
    without = "".join(each for each in text if unicodedata.category(each) != "Cc" or each in "\t\n\r")
    assert b"".join(without_escapes([without.encode()])).decode() == without
