"""The trace of one request: how it was understood, what Forgejo decided, which requests to Forgejo it caused.

The trace belongs to the thread that handles the request. Threads of a `pool` share it. Pollers work for several
requests at once and have none. No secret is ever recorded.
"""

from __future__ import annotations

import contextvars
import functools
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from addon.caller import PARAMETERS, Share
from addon.errors import ApiError

# A request that waits for an hour causes many exchanges: the first ones are kept, the others are counted.
MOST_EXCHANGES = 50
# The longest trace that fits into a header, in characters.
MOST_HEADER = 8192


@dataclass(frozen=True, slots=True)
class Operation:
    """A parsed request in plain values.

    `path` is what follows the repository, `runs/latest/logs`; `run` a run number or `latest`, None for a list.
    `parameters` are those that differ from their defaults, as text.
    """

    action: str
    repo: str = ""
    path: str = ""
    run: int | str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Exchange:
    """One request to Forgejo. `who` is `caller` or `session`; `status` is None when there was no response."""

    who: str
    method: str
    target: str
    status: int | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Trace:
    """The trace of one request. `access` is Forgejo's decision, as `read: yes` or `write: 403`.

    `timings` are seconds by part of the work, for the Server-Timing header. `shares` are those of the caller.
    """

    operation: Operation | None = None
    access: str | None = None
    caller: str | None = None
    error: str | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    exchange_count: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    shares: tuple[Share, ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def may_write(self) -> bool:
        """Whether the request is a change that Forgejo allows the caller."""
        return self.access == "write: yes"

    def add(self, exchange: Exchange) -> None:
        """Counts an exchange, and keeps it if there is room."""
        with self._lock:
            self.exchange_count += 1
            if len(self.exchanges) < MOST_EXCHANGES:
                self.exchanges.append(exchange)

    def as_header(self, request_line: str) -> str:
        """The trace as ASCII JSON of at most MOST_HEADER characters; exchanges are left out to fit.

        `request_line` is the parsed request in one line.
        """
        rows = [[e.who, e.method, e.target, e.status, round(e.seconds * 1000, 1)] for e in list(self.exchanges)]
        while True:
            more = self.exchange_count - len(rows)
            text = json.dumps({"asked": request_line, "access": self.access, "forgejo": rows, "more": more})
            if len(text) <= MOST_HEADER or not rows:
                return text
            rows = rows[: len(rows) // 2]


_current: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)


def begin() -> Trace:
    """Starts a new trace for this thread."""
    trace = Trace()
    _current.set(trace)
    return trace


def end() -> None:
    """Ends this thread's trace."""
    _current.set(None)


def current() -> Trace:
    """This thread's trace, or an unused one where there is none."""
    return _current.get() or Trace()


def pool(threads: int) -> ThreadPoolExecutor:
    """A thread pool whose work is recorded in this thread's trace."""
    return ThreadPoolExecutor(threads, initializer=_current.set, initargs=(_current.get(),))


def in_order[T, R](work: Callable[[T], R], items: Iterable[T], ahead: int) -> Generator[R, None, None]:
    """The results of `work`, with so many of them made in a pool before they are taken. Close it to end the work."""
    waiting: deque[Future[R]] = deque()
    with pool(ahead) as threads:
        try:
            for item in items:
                waiting.append(threads.submit(work, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Adds the duration of the block to the trace's timings."""
    timings, start = current().timings, time.monotonic()
    try:
        yield
    finally:
        timings[part] = timings.get(part, 0.0) + time.monotonic() - start


@contextmanager
def exchange(
    who: str,
    method: str,
    path: str,
    query: Mapping[str, str | Sequence[str]] | None,
    observe: Callable[[str, int | None, float], None],
) -> Iterator[Exchange]:
    """Records a request to Forgejo that the block makes; the block sets `status`.

    Credentials in `query` are left out. Afterwards `observe` is called with `who`, status and seconds.
    """
    shown = {name: value for name, value in (query or {}).items() if name not in PARAMETERS}
    found = Exchange(who, method, path + (f"?{urlencode(shown, doseq=True)}" if shown else ""))
    started = time.monotonic()
    try:
        yield found
    finally:
        found.seconds = time.monotonic() - started
        current().add(found)
        observe(who, found.status, found.seconds)


def decision[**P, R](right: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for permission checks: records whether Forgejo grants the right or the status of its refusal."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def decide(*args: P.args, **kwargs: P.kwargs) -> R:
            trace = current()
            try:
                result = function(*args, **kwargs)
            except ApiError as error:
                trace.access = f"{right}: {error.status}"
                raise
            if not trace.may_write:  # a read check after a successful write check is only a further question
                trace.access = f"{right}: yes"
            return result

        return decide

    return decorate
