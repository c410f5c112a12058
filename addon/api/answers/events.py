"""A followed log as plain text, or as server-sent events (https://html.spec.whatwg.org/#server-sent-events)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from addon.actions.following.events import Cursor, End, Event, Heartbeat, Lines, Note, StatusChanged, StepChanged
from addon.actions.following.follow_logs import Following
from addon.actions.logs.options import LogOptions
from addon.api.text.bundle import guarded, mark, run_mark
from addon.errors import BadRequest

# Seconds without an event after which a comment keeps the connection open.
SILENCE = 15.0
CURSOR = re.compile(r"([0-9]{1,6}):([0-9]{1,9})-([0-9]{0,18})-([0-9]{1,15})-([0-9]{0,15})")
# With more jobs than this, events have no id: it would be longer than the line.
MOST_IN_ID = 20
ENDINGS = {
    "step": "the step has ended",
    "rerun": "a rerun has started",
    "expired": "the log has expired: Forgejo has deleted it",
    "missing": "there is no log",
    "incomplete": "lines of the step are missing",
    "access": "access has ended",
    "stopping": "the proxy is being stopped",
}


def as_text(following: Following, options: LogOptions) -> Generator[bytes, None, None]:
    """Log lines, and messages on lines of their own; the last one tells how the stream ended.

    With several jobs, a line before each change names the job.
    """
    shown: int | None = None
    for index, event in following.events:
        if isinstance(event, Lines):
            assert index is not None  # noqa: S101  # a run has no lines
            if following.several and shown != index:
                yield mark(following.job(index), str(following.job(index).status))
            shown = index
            yield from guarded(options.applied((event.data,)))
        elif words := _words(event):
            shown = None
            yield run_mark(following.run, words) if index is None else mark(following.job(index), words)
        else:
            yield b""


def as_event_stream(following: Following, options: LogOptions) -> Generator[bytes, None, None]:
    """Events `line`, `step`, `status`, `note` and `end`, each with JSON as its data.

    In the data `job` is the job's index; null is the run. The id of a line has the positions behind it, for every job
    so far: a client that sends it back continues there.
    """
    known = dict(following.cursors)
    sent_at = time.monotonic()
    end = End("stopping", following.run.status)
    for index, event in following.events:
        if isinstance(event, Lines):
            assert index is not None  # noqa: S101  # a run has no lines
            data = b"".join(_line(index, line, known, options) for line in _with_cursors(event))
        elif isinstance(event, End):
            end = event
            words = _words(event) if event.reason in ENDINGS else ""
            data = _event("note", {"job": index, "text": words}) if words else b""
        else:
            data = _other(index, event)
        if not data and time.monotonic() - sent_at > SILENCE:
            data = b": still here\n\n"
        if data:
            sent_at = time.monotonic()
        yield data
    yield _event("end", {"reason": end.reason, "status": end.status})


def resumed(header: str) -> dict[int, Cursor]:
    """The positions in a Last-Event-ID header, by job. Raises BadRequest."""
    cursors = {}
    for part in header.split(","):
        match = CURSOR.fullmatch(part.strip())
        if match is None:
            raise BadRequest("Last-Event-ID is not an id that this stream has sent")
        index, attempt, task, byte, line = match.groups()
        cursors[int(index)] = Cursor(int(attempt), task, int(byte), int(line) if line else None)
    return cursors


def _words(event: Event) -> str:
    """The text of a note or an end: for an end the state, and the reason if there is one to tell."""
    if isinstance(event, Note):
        return event.text
    if not isinstance(event, End):
        return ""
    if event.reason not in ENDINGS:
        return str(event.status)
    words = ENDINGS[event.reason]
    return f"{words} ({event.text})" if event.text else words


def _with_cursors(event: Lines) -> Iterator[tuple[bytes, Cursor]]:
    """Each line with the position behind it."""
    cursor = event.start
    for text in event.data.removesuffix(b"\n").split(b"\n"):  # a progress bar's carriage returns are part of a line
        line = text + b"\n"
        cursor = cursor.advanced(line)
        yield line, cursor


def _line(index: int, line: tuple[bytes, Cursor], known: dict[int, Cursor], options: LogOptions) -> bytes:
    data, cursor = line
    known[index] = cursor
    text = b"".join(options.applied((data,))).removesuffix(b"\n").decode("utf-8", "replace")
    value: dict[str, Any] = {"job": index, "text": text}
    if cursor.line is not None:
        value["number"] = cursor.line
    return _event("line", value, _id(known))


def _id(known: Mapping[int, Cursor]) -> str:
    if len(known) > MOST_IN_ID:
        return ""
    return ",".join(
        f"{index}:{cursor.attempt}-{cursor.task}-{cursor.byte}-{'' if cursor.line is None else cursor.line}"
        for index, cursor in sorted(known.items())
    )


def _other(index: int | None, event: Event) -> bytes:
    if isinstance(event, StepChanged):
        return _event("step", {"job": index, "number": event.number, "name": event.name, "status": event.status})
    if isinstance(event, StatusChanged):
        return _event("status", {"job": index, "status": event.status})
    if isinstance(event, Note):
        return _event("note", {"job": index, "text": event.text})
    assert isinstance(event, Heartbeat)  # noqa: S101
    return b""


def _event(name: str, data: Mapping[str, Any], identity: str = "") -> bytes:
    """One event. The JSON has no line ends, so it is one line of data."""
    head = f"id: {identity}\n" if identity else ""
    return f"event: {name}\n{head}data: {json.dumps(data)}\n\n".encode()
