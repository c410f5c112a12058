"""One line for each extension request, for operators, as text or as JSON; and the counting of requests.

    GET org/repo runs/latest/logs job=1 → 200 18 ms forgejo=2

A line is made of what was parsed and checked. What a caller or Forgejo wrote is quoted and escaped, so nothing that is
logged can look like another line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from addon import trace
from addon.api import routes
from addon.api.parameters import NEWEST, Parameters
from addon.api.routes import Query
from addon.trace import Trace

log = logging.getLogger("addon.requests")

PLAIN = re.compile(r"[A-Za-z0-9_.,:#/@+-]{1,200}")
MOST_TEXT = 200
PLURALS = {one: name for name, one in routes.ONE_OF.items()}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# Requests for these say nothing of repositories, and come every few seconds.
OWN = "own"
UNREAD = "unread"

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request. `whole` is whether the answer went out to its end; `milliseconds` until then."""

    method: str
    target: str
    status: int
    milliseconds: float
    size: int
    whole: bool
    trace: Trace

    @property
    def action(self) -> str:
        """The route's action; `own` for the extension's pages about itself, `unread` for what could not be parsed."""
        if self.trace.query is not None:
            return self.trace.query.action
        return OWN if routes.is_own(self.target) else UNREAD

    def text(self) -> str:
        """The line."""
        seen = self.trace
        if seen.query is not None:
            what = described(seen.query)
        else:
            what = quoted(unquote(self.target.partition("?")[0], errors="replace"))
        line = f"{_word(self.method)} {what} → {self.status} {self.milliseconds:.0f} ms forgejo={seen.asked}"
        for name, value in (("caller", seen.caller), ("error", seen.error)):
            if value is not None:
                line += f" {name}={quoted(value)}"
        return line if self.whole else f"{line} broken-off"

    def as_json(self) -> str:
        """The line as one JSON object."""
        query, seen = self.trace.query, self.trace
        entry: dict[str, Any] = {"time": _now(), "method": _cut(self.method)}
        if query is None:
            entry["path"] = _cut(self.target.partition("?")[0])
        else:
            run = None if query.action == "runs" else query.run or "latest"
            entry |= {"repo": str(query.repo), "run": run, "action": query.action, "query": _given(query)}
        entry |= {"status": self.status, "ms": round(self.milliseconds, 1), "bytes": self.size, "whole": self.whole}
        entry |= {"forgejo": seen.asked, "access": seen.access, "caller": _cut(seen.caller), "error": _cut(seen.error)}
        return json.dumps(entry)


class Journal:
    """Writes the lines. `mode` is text, json or off; also when off, reruns and cancels are logged, with who asked."""

    def __init__(self, mode: str, answered: Callable[[str, int, float], None]) -> None:
        """`answered` is told of each request: its action, status and seconds."""
        self._mode = mode
        self._answered = answered

    def write(self, entry: Entry) -> None:
        """Logs an answered request, and has it counted."""
        self._answered(entry.action, entry.status, entry.milliseconds / 1000)
        if entry.action == OWN or (self._mode == "off" and not entry.trace.may_write):
            return
        log.info("%s", entry.as_json() if self._mode == "json" else entry.text())

    def around(self, app: Wsgi) -> Wsgi:
        """The application, with a record begun before each request and written after the last byte of its answer."""

        def watched(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            begun, seen, statuses = time.monotonic(), trace.begin(), [500]

            def started(status: str, *rest: Any) -> Any:
                statuses[0] = int(status[:3])
                return start_response(status, *rest)

            def ended(size: int, whole: bool) -> None:
                trace.end()
                taken = (time.monotonic() - begun) * 1000
                method, target = environ["REQUEST_METHOD"], environ.get("REQUEST_URI", "")
                self.write(Entry(method, target, statuses[0], taken, size, whole, seen))

            return _Body(app(environ, started), ended)

        return watched


class _Body:
    """An answer's bytes, counted; `ended` is told when it is closed."""

    def __init__(self, body: Iterable[bytes], ended: Callable[[int, bool], None]) -> None:
        self._body = body
        self._ended = ended
        self._size = 0
        self._whole = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            self._size += len(chunk)
            yield chunk
        self._whole = True

    def close(self) -> None:
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            self._ended(self._size, self._whole)


class JsonLines(logging.Formatter):
    """Every other message of the application as a JSON object too, so that a log is all of one kind."""

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        return json.dumps({"time": _now(), "level": level, "message": record.getMessage()})


def set_up(mode: str, level: str) -> None:
    """Sends the application's messages to standard error. Raises ValueError for a level that there is not."""
    if level not in LEVELS:
        raise ValueError(f"ACTIONS_LOG_LEVEL is {level!r}; write {', '.join(LEVELS[:-1])} or {LEVELS[-1]}")
    messages = logging.StreamHandler(sys.stderr)
    messages.setFormatter(JsonLines() if mode == "json" else logging.Formatter("actions extension: %(message)s"))
    logging.basicConfig(level=level, handlers=[messages])
    lines = logging.StreamHandler(sys.stderr)
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    log.propagate = False
    for noisy in ("waitress", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def described(query: Query) -> str:
    """A parsed request in a line: `org/repo runs/latest/logs job=1`. What a path names is a value like others."""
    path = "runs" if query.action == "runs" else f"runs/{query.run or 'latest'}"
    if query.action not in ("runs", "info"):
        path += f"/{PLURALS.get(query.action, query.action)}"
    return " ".join((f"{query.repo} {path}", *(f"{name}={quoted(value)}" for name, value in _given(query).items())))


def quoted(text: str) -> str:
    """A value in a line: as it is when it is plain, else quoted, escaped and cut to a bounded length."""
    if PLAIN.fullmatch(text):
        return text
    return json.dumps(_cut(text))


def _cut[T: (str, str | None)](text: T) -> T:
    return text if text is None or len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"


def _given(query: Query) -> Mapping[str, str]:
    """What the caller gave that is not the default, as text."""
    values = {field.name: getattr(query, field.name) for field in fields(Parameters)} | {"artifact": query.artifact}
    defaults = {field.name: field.default for field in fields(Parameters)} | {"artifact": None}
    return {name: _cut(_shown(name, value)) for name, value in values.items() if value != defaults[name]}


def _shown(name: str, value: object) -> str:
    if name == "attempt" and value == NEWEST:
        return "latest"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _word(method: str) -> str:
    return method if re.fullmatch(r"[A-Z]{1,20}", method) else quoted(method)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
