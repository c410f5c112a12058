"""Annotations as runners write them, and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.actions.annotations import LEVELS, MOST_OF_LEVEL, MOST_TEXT, Annotation, annotations_in


def only(line: str) -> Annotation:
    ((place, annotation),) = annotations_in(["before", line, "after"])
    assert place == 1
    return annotation


@pytest.mark.parametrize(
    ("line", "annotation"),
    [
        ("::error::it broke", Annotation("error", "it broke")),
        ("  ::warning ::indented", Annotation("warning", "indented")),
        ("::notice title=Hello::there", Annotation("notice", "there", "Hello")),
        (
            "::error file=app/x.py,line=3,endLine=5,col=7,endColumn=9,title=Oops::a: b",
            Annotation("error", "a: b", "Oops", "app/x.py", 3, 5, 7, 9),
        ),
        ("::ERROR file=a::b", Annotation("error", "b", None, "a")),
        ("::error file=C%3A\\x%2Cy,line=1::100%25%0Aof%0Dit", Annotation("error", "100%\nof\rit", None, "C:\\x,y", 1)),
        ("::error file=a%253Ab::%250A", Annotation("error", "%0A", None, "a%3Ab")),  # decoded once
        ("::error::a%3Ab%2cc", Annotation("error", "a%3Ab%2cc")),  # only properties escape these
        ("::error file=,line=x,title=::m", Annotation("error", "m")),
        ("::error line=-1,col=9999999999,file=a=b,nothing::m::n", Annotation("error", "m::n", None, "a=b")),
        ("::error::", Annotation("error", "")),
    ],
)  # fmt: skip
def test_an_annotation(line: str, annotation: Annotation) -> None:
    assert only(line) == annotation


@pytest.mark.parametrize(
    "line",
    ["::group::x", "::debug::x", "::error x", ":error::x", "error::x", "text ::error::x", "::errors::x", "::", "::::", "##[error]x"],
)  # fmt: skip
def test_none(line: str) -> None:
    assert list(annotations_in([line])) == []


def test_stopped_commands_are_text() -> None:
    lines = [
        "::stop-commands::abc",
        "::error::no",
        "::abc",
        "::other::",
        "::abc::",
        "::error::yes",
        "::stop-commands::",
    ]
    lines += ["::error::yes, for no word stops nothing"]
    assert [place for place, _ in annotations_in(lines)] == [5, 7]


def test_many_of_a_level_hide_none_of_another() -> None:
    lines = ["::warning::careful"] * 3 * MOST_OF_LEVEL + ["::error::broken"]
    levels = [annotation.level for _, annotation in annotations_in(lines)]
    assert levels == ["warning"] * MOST_OF_LEVEL + ["error"]


def test_texts_are_cut() -> None:
    assert only("::error title=" + "t" * 5000 + "::" + "m" * 5000) == Annotation(
        "error", "m" * MOST_TEXT + "…", "t" * MOST_TEXT + "…"
    )


def _escaped(text: str, more: str = "") -> str:
    """As a workflow command's writer escapes it."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if more else text


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(st.sampled_from(LEVELS), TEXTS, TEXTS.map(str.strip), st.integers(0, 10**9 - 1))
def test_what_is_written_is_read(level: str, message: str, file: str, line: int) -> None:
    found = only(f"::{level} file={_escaped(file, 'more')},line={line}::{_escaped(message)}")
    assert (found.level, found.message, found.file, found.line) == (level, message, file or None, line)


@given(st.lists(st.text(st.sampled_from("::error ,=%0AfilestopcmdswarngU\t\x1b\u202e"), max_size=60), max_size=20))
def test_any_log_is_survived(lines: list[str]) -> None:
    for place, annotation in annotations_in(lines):
        assert annotation.level in LEVELS and "::" in lines[place]
