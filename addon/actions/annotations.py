"""Annotations in a log: `::error file=app.py,line=3,title=Oops::message`, and the same with warning and notice.

These are GitHub's workflow commands, which Forgejo's runners understand too. Pure functions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LEVELS = ("error", "warning", "notice")
# A command's start; its properties and its message follow.
COMMAND = re.compile(r"::([a-zA-Z-]+)(?=[ :])")
LINE_END = re.compile(r"[\r\n]")
NUMBER = re.compile(r"[0-9]{1,9}")
STOP = "stop-commands"
# The escapes of a message. A property has two more, for the characters that would end it.
IN_MESSAGE = {"%0A": "\n", "%0D": "\r", "%25": "%"}
IN_PROPERTY = {**IN_MESSAGE, "%3A": ":", "%2C": ","}
ESCAPED = re.compile("%(?:0A|0D|25|3A|2C)", re.IGNORECASE)
MOST_TEXT = 1000
# A log may consist of annotations, and a summary shows few.
MOST_OF_LEVEL = 1000


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation; `level` is error, warning or notice. Lines and columns count from 1. None is not given.

    Texts are cut at a thousand characters.
    """

    level: str
    message: str
    title: str | None = None
    file: str | None = None
    line: int | None = None
    end_line: int | None = None
    column: int | None = None
    end_column: int | None = None

    @property
    def place(self) -> str | None:
        """File and line, as `a.py:3`; None without a file."""
        return self.file if self.file is None or self.line is None else f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """Title and message in one text."""
        return ": ".join(each for each in (self.title, self.message) if each)


def annotations_in(lines: Iterable[str]) -> Iterator[tuple[int, Annotation]]:
    """The annotations in a log's lines (without times), each with the index of its line, from 0.

    These are the first MOST_OF_LEVEL of each level. Between `::stop-commands::word` and `::word::` no command counts.
    """
    stopped: str | None = None
    found = Counter[str]()
    for index, text in enumerate(lines):
        if "::" not in text:
            continue
        text = text.lstrip(" \t\ufeff")
        if stopped is not None:
            if text.rstrip() == f"::{stopped}::":
                stopped = None
            continue
        command = COMMAND.match(text)
        if command is None or found[name := command[1].lower()] == MOST_OF_LEVEL:
            continue
        properties, end, message = LINE_END.split(text[command.end() :], maxsplit=1)[0].partition("::")
        if not end or (properties and not properties.startswith(" ")):
            continue
        if name == STOP and message.strip():
            stopped = message.strip()
        elif name in LEVELS:
            found[name] += 1
            yield index, _annotation(name, properties.removeprefix(" "), message)


def _annotation(level: str, properties: str, message: str) -> Annotation:
    given = {}
    for part in properties.split(","):
        name, equals, value = part.partition("=")
        if equals:
            given[name.strip().lower()] = _decoded(value.strip(), IN_PROPERTY)
    return Annotation(
        level=level,
        message=_decoded(message, IN_MESSAGE),
        title=given.get("title") or None,
        file=given.get("file") or None,
        line=_number(given.get("line")),
        end_line=_number(given.get("endline")),
        column=_number(given.get("col")),
        end_column=_number(given.get("endcolumn")),
    )


def _decoded(text: str, meanings: dict[str, str]) -> str:
    """Decodes escapes once: `%250A` becomes `%0A`. Escapes of properties stay unchanged in a message."""
    whole = ESCAPED.sub(lambda found: meanings.get(found[0].upper(), found[0]), text)
    return whole if len(whole) <= MOST_TEXT else whole[:MOST_TEXT] + "…"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and NUMBER.fullmatch(text) else None
