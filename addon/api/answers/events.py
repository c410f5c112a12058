"""What a follower is sent: plain text, or server-sent events (https://html.spec.whatwg.org/#server-sent-events)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from addon.actions.following.events import Beat, End, Event, Lines, Note, Place, StatusChanged, StepChanged
from addon.actions.following.follow_logs import Following
from addon.actions.logs.reader import Options
from addon.api.text.bundle import mark
from addon.errors import BadRequest
from addon.model import Status

# Seconds of silence after which an event stream gets a comment, so that nobody in between closes it.
SILENCE = 15.0
PLACE = re.compile(r"([0-9]{1,6}):([0-9]{1,9})-([0-9]{0,18})-([0-9]{1,15})-([0-9]{0,15})")
# Of more jobs than these an event has no id: it would be longer than the line.
MOST_IN_ID = 20
ENDINGS = {
    "rerun": "a rerun has begun",
    "expired": "the log has expired: Forgejo has deleted it",
    "missing": "there is no log",
    "access": "access has ended",
    "stopping": "the proxy is being stopped",
}


def as_text(following: Following, options: Options) -> Generator[bytes, None, None]:
    """Log lines as they are. What else must be said stands on lines of its own; of several jobs, one comes before
    each change to another."""
    shown: int | None = None
    for index, event in following.events:
        job = following.job(index)
        if isinstance(event, Lines):
            if following.many and shown != index:
                yield (b"" if shown is None else b"\n") + mark(job, str(job.status), len(following.run.jobs))
            shown = index
            yield from options.shown((event.data,))
        elif isinstance(event, Note):
            yield mark(job, event.text)
        elif isinstance(event, End) and (words := _ending(event)):
            yield mark(job, words)
        else:
            yield b""


def as_event_stream(following: Following, options: Options) -> Generator[bytes, None, None]:
    """Events `line`, `step`, `status`, `note` and `end`, each with JSON as its data, of which `job` is the index.

    The id of a line is the place after it, of every job so far: who comes back with it goes on there.
    """
    known = dict(following.places)
    sent_at = time.monotonic()
    reason = "done"
    for index, event in following.events:
        if isinstance(event, Lines):
            data = b"".join(_line(index, line, known, options) for line in _places(event))
        elif isinstance(event, End):
            reason = event.reason
            data = _event("note", {"job": index, "text": words}) if (words := _ending(event)) else b""
        else:
            data = _told(index, event)
        if not data and time.monotonic() - sent_at > SILENCE:
            data = b": still here\n\n"
        if data:
            sent_at = time.monotonic()
        yield data
    yield _event("end", {"reason": reason, "status": following.status})


def resumed(header: str) -> dict[int, Place]:
    """The places of a `Last-Event-ID`. Raises BadRequest."""
    places = {}
    for part in header.split(","):
        match = PLACE.fullmatch(part.strip())
        if match is None:
            raise BadRequest("Last-Event-ID is not an id that this stream has sent")
        index, attempt, task, byte, line = match.groups()
        places[int(index)] = Place(int(attempt), task, int(byte), int(line) if line else None)
    return places


def _ending(end: End) -> str:
    """What is said of an end; a job that is simply done needs no words, unless it was cancelled."""
    if end.reason in ENDINGS:
        return f"{ENDINGS[end.reason]} ({end.text})" if end.text else ENDINGS[end.reason]
    return "cancelled" if end.status is Status.CANCELLED else ""


def _places(event: Lines) -> Iterator[tuple[bytes, Place]]:
    """Each line with the place after it."""
    place = event.start
    for text in event.data.removesuffix(b"\n").split(b"\n"):  # a progress bar's carriage returns are part of a line
        line = text + b"\n"
        place = place.behind(line)
        yield line, place


def _line(index: int, line: tuple[bytes, Place], known: dict[int, Place], options: Options) -> bytes:
    data, place = line
    known[index] = place
    text = b"".join(options.shown((data,))).removesuffix(b"\n").decode("utf-8", "replace")
    value: dict[str, Any] = {"job": index, "text": text}
    if place.line is not None:
        value["number"] = place.line
    return _event("line", value, _id(known))


def _id(known: Mapping[int, Place]) -> str:
    if len(known) > MOST_IN_ID:
        return ""
    return ",".join(
        f"{index}:{place.attempt}-{place.task}-{place.byte}-{'' if place.line is None else place.line}"
        for index, place in sorted(known.items())
    )


def _told(index: int, event: Event) -> bytes:
    if isinstance(event, StepChanged):
        return _event("step", {"job": index, "number": event.number, "name": event.name, "status": event.status})
    if isinstance(event, StatusChanged):
        return _event("status", {"job": index, "status": event.status})
    if isinstance(event, Note):
        return _event("note", {"job": index, "text": event.text})
    assert isinstance(event, Beat)  # noqa: S101
    return b""


def _event(name: str, data: Mapping[str, Any], identity: str = "") -> bytes:
    """One event. JSON without line ends is one line of data, whatever a log holds."""
    head = f"id: {identity}\n" if identity else ""
    return f"event: {name}\n{head}data: {json.dumps(data)}\n\n".encode()
