"""The request log: one line for each extension request, as text or JSON.

    GET org/repo runs/latest/logs job=1 → 200 18 ms forgejo=2

Values that callers or Forgejo wrote are quoted and escaped, so no value can look like another line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from addon import trace
from addon.trace import Operation, Trace

log = logging.getLogger("addon.requests")

PLAIN = re.compile(r"[A-Za-z0-9_.,:#/@+-]{1,200}")
MOST_TEXT = 200
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# The action of the extension's pages about itself. Monitoring asks for them every few seconds: they get no line.
ABOUT = "about"
# The action of a browser's question whether a page of another origin may send a request.
PREFLIGHT = "preflight"
# The action of a request that could not be parsed.
INVALID = "invalid"

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request. `complete` says whether the body was sent to its end; `milliseconds` until then."""

    method: str
    target: str
    status: int
    milliseconds: float
    size: int
    complete: bool
    trace: Trace

    @property
    def action(self) -> str:
        """The route's action, ABOUT or INVALID."""
        return self.trace.operation.action if self.trace.operation else INVALID

    def text(self) -> str:
        """The line as text."""
        seen = self.trace
        if seen.operation is not None and seen.operation.repo:
            what = request_line(seen.operation)
        else:
            what = quoted(unquote(self.target.partition("?")[0], errors="replace"))
        line = f"{_word(self.method)} {what} → {self.status} {self.milliseconds:.0f} ms forgejo={seen.exchange_count}"
        for name, value in (("caller", seen.caller), ("error", seen.error)):
            if value is not None:
                line += f" {name}={quoted(value)}"
        return line if self.complete else f"{line} broken-off"

    def as_json(self) -> str:
        """The line as a JSON object."""
        operation, seen = self.trace.operation, self.trace
        entry: dict[str, Any] = {"time": _now(), "method": _cut(self.method)}
        if operation is None or not operation.repo:
            entry["path"] = _cut(self.target.partition("?")[0])
        else:
            entry |= {"repo": operation.repo, "run": operation.run, "action": operation.action}
            entry |= {"query": {name: _cut(value) for name, value in operation.parameters.items()}}
        entry |= {"status": self.status, "ms": round(self.milliseconds, 1), "bytes": self.size}
        entry |= {"whole": self.complete, "forgejo": seen.exchange_count, "access": seen.access}
        entry |= {"caller": _cut(seen.caller), "error": _cut(seen.error)}
        return json.dumps(entry)


class Journal:
    """Writes the lines. `mode` is text, json or off; reruns and cancels are logged in every mode."""

    def __init__(self, mode: str, observe: Callable[[str, int, float], None]) -> None:
        """`observe` is called for each request with its action, status and seconds."""
        self._mode = mode
        self._observe = observe

    def write(self, entry: Entry) -> None:
        """Logs an answered request and counts it."""
        self._observe(entry.action, entry.status, entry.milliseconds / 1000)
        if entry.action == ABOUT or (self._mode == "off" and not entry.trace.may_write):
            return
        log.info("%s", entry.as_json() if self._mode == "json" else entry.text())

    def around(self, app: Wsgi) -> Wsgi:
        """WSGI middleware: starts a trace before each request, and logs it after the last byte of the response."""

        def logged(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            started, seen, statuses = time.monotonic(), trace.begin(), [500]

            def start(status: str, *rest: Any) -> Any:
                statuses[0] = int(status[:3])
                return start_response(status, *rest)

            def closed(size: int, complete: bool) -> None:
                trace.end()
                milliseconds = (time.monotonic() - started) * 1000
                method, target = environ["REQUEST_METHOD"], environ.get("REQUEST_URI", "")
                self.write(Entry(method, target, statuses[0], milliseconds, size, complete, seen))

            return _Body(app(environ, start), closed)

        return logged


class _Body:
    """A response's body whose bytes are counted; `closed` is called with the count when it is closed."""

    def __init__(self, body: Iterable[bytes], closed: Callable[[int, bool], None]) -> None:
        self._body = body
        self._closed = closed
        self._size = 0
        self._complete = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            self._size += len(chunk)
            yield chunk
        self._complete = True

    def close(self) -> None:
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            self._closed(self._size, self._complete)


class JsonLines(logging.Formatter):
    """Formats every other log message of the application as a JSON object too."""

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        return json.dumps({"time": _now(), "level": level, "message": record.getMessage()})


def set_up(mode: str, level: str) -> None:
    """Sends the application's log to standard error. Raises ValueError for an unknown level."""
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


def request_line(operation: Operation) -> str:
    """A parsed request in one line: `org/repo runs/latest/logs job=1`."""
    parameters = (f"{name}={quoted(value)}" for name, value in operation.parameters.items())
    return " ".join((f"{operation.repo} {operation.path}", *parameters))


def quoted(text: str) -> str:
    """A value for a log line: unchanged if it is plain, else quoted, escaped and cut."""
    if PLAIN.fullmatch(text):
        return text
    return json.dumps(_cut(text))


def _cut[T: (str, str | None)](text: T) -> T:
    return text if text is None or len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"


def _word(method: str) -> str:
    return method if re.fullmatch(r"[A-Z]{1,20}", method) else quoted(method)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
