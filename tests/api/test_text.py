"""Other people's text in Markdown and on a terminal: whatever it is, it stays text."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.api.text.markdown import block, code
from addon.api.text.plain import fitted, one_line, size, took, width
from tests.actions.test_summary import harmless, outside_code

HOSTILE = st.text(
    st.one_of(st.sampled_from("`~|\\<>[]()#*_@!&\r\n\t \x1b\x9b\u202e\u2028\x85\u0301漢✓"), st.characters()),
    max_size=40,
)


@given(HOSTILE)
def test_one_line_is_one_harmless_line(text: str) -> None:
    line = one_line(text)
    assert harmless(line) and len(line) == len(text) and len(line.splitlines()) <= 1
    assert all(new == old for new, old in zip(line, text, strict=True) if old.isalnum() or old in " `|<>")


@given(HOSTILE, HOSTILE)
def test_code_is_all_code(first: str, second: str) -> None:
    line = f"- {code(first)} and {code(second)}: end"
    assert outside_code(line).replace("(empty)", "") == "-  and : end"


@given(st.lists(HOSTILE, max_size=6))
def test_a_block_is_all_code(lines: list[str]) -> None:
    text = "\n".join(["before", *block(lines), "after"])
    assert outside_code(text) == "before\nafter" and harmless(text)


@given(HOSTILE, st.integers(1, 30))
def test_fitted_takes_just_so_many_columns(text: str, columns: int) -> None:
    shown = fitted(one_line(text), columns)
    assert width(shown) == columns


def test_widths() -> None:
    assert [width(text) for text in ("", "abc", "漢字", "e\u0301", "ü")] == [0, 3, 4, 1, 1]
    assert fitted("漢字漢字", 5) == "漢字…" and fitted("ab", 4) == "ab  "


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0, "0s"), (59.6, "1m 0s"), (125, "2m 5s"), (7205, "2h 0m 5s"), (90000, "25h 0m 0s")],
)
def test_took(seconds: float | None, text: str) -> None:
    assert took(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3072.0 GiB")]
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_every_kind_of_character_is_harmless() -> None:
    for code_point in itertools.chain(range(0x3000), range(0xD000, 0x11000), range(0xE0000, 0xE1000), [0x10FFFF]):
        shown = one_line(chr(code_point))
        assert len(shown) == 1 and unicodedata.category(shown) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn")
