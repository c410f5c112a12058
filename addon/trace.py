"""What one extension request did: how it was understood, who may, what Forgejo was asked. No secret is ever in it.

The record belongs to the thread that answers the request; work that is given to other threads takes it along by
`pool`. Pollers, which look for several requests at once, have none.
"""

from __future__ import annotations

import contextvars
import functools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from addon.api.parameters import CREDENTIALS
from addon.api.routes import Query
from addon.errors import ApiError

# A request that waits for an hour asks many times: so many questions are kept, the others counted.
MOST_EXCHANGES = 50
# The longest record that is handed over in a header.
MOST_HEADER = 8192


@dataclass(slots=True)
class Exchange:
    """One question to Forgejo, as `caller` or `session`. `status` is None when there was no answer."""

    who: str
    method: str
    target: str
    status: int | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Trace:
    """The record of one request. `access` says what Forgejo decided: `read: yes`, `write: 403`."""

    query: Query | None = None
    access: str | None = None
    caller: str | None = None
    error: str | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def may_write(self) -> bool:
        """Whether the caller asked for a change, and may."""
        return self.access == "write: yes"

    def add(self, exchange: Exchange) -> None:
        """Counts it, and keeps it while there is room."""
        with self._lock:
            self.asked += 1
            if len(self.exchanges) < MOST_EXCHANGES:
                self.exchanges.append(exchange)

    def header(self, asked: str) -> str:
        """The record as JSON of ASCII letters, with what was `asked`; questions are left out where it would be too
        long."""
        rows = [[e.who, e.method, e.target, e.status, round(e.seconds * 1000, 1)] for e in list(self.exchanges)]
        while True:
            text = json.dumps({"asked": asked, "access": self.access, "forgejo": rows, "more": self.asked - len(rows)})
            if len(text) <= MOST_HEADER or not rows:
                return text
            rows = rows[: len(rows) // 2]


_current: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)


def begin() -> Trace:
    """A new record, from now on this thread's."""
    trace = Trace()
    _current.set(trace)
    return trace


def end() -> None:
    """This thread's request is over."""
    _current.set(None)


def current() -> Trace:
    """This thread's record; one that nobody reads where there is none."""
    return _current.get() or Trace()


def pool(threads: int) -> ThreadPoolExecutor:
    """Threads that work on behalf of this one's request: what they ask is on its record."""
    return ThreadPoolExecutor(threads, initializer=_current.set, initargs=(_current.get(),))


@contextmanager
def exchange(
    who: str,
    method: str,
    path: str,
    query: Mapping[str, str | Sequence[str]] | None,
    told: Callable[[str, int | None, float], None],
) -> Iterator[Exchange]:
    """Records the question that the block asks, and the block sets its status; then `told` gets `who`, status and
    seconds. Credentials in `query` are left out."""
    shown = {name: value for name, value in (query or {}).items() if name not in CREDENTIALS}
    asked = Exchange(who, method, path + (f"?{urlencode(shown, doseq=True)}" if shown else ""))
    started = time.monotonic()
    try:
        yield asked
    finally:
        asked.seconds = time.monotonic() - started
        current().add(asked)
        told(who, asked.status, asked.seconds)


def decision[**P, R](right: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for what asks Forgejo whether the caller has this right: the answer is recorded."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def decide(*args: P.args, **kwargs: P.kwargs) -> R:
            trace = current()
            try:
                result = function(*args, **kwargs)
            except ApiError as error:
                trace.access = f"{right}: {error.status}"
                raise
            trace.access = f"{right}: yes"
            return result

        return decide

    return decorate
