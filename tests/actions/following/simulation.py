"""Following without sockets, threads and real time: each request to the stand-in is a step of a script.

The product's own code runs, from the followed stream down to its HTTP connections. The stand-in is called in this process.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from addon.actions.following import feed, guard, step_feed, streams
from addon.actions.following.events import Cursor
from addon.actions.following.follow_logs import Following, FollowLimits, FollowLogs
from addon.actions.logs import completeness
from addon.actions.logs.options import LogOptions
from addon.actions.polling import Pollers, Snapshot, _Poller
from addon.actions.query import Query
from addon.api.answers import events
from addon.errors import ApiError
from addon.forgejo.admin.credentials import Credentials
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.transport import Transport
from addon.forgejo.web_ui import WebUi
from addon.model import Repo, Run
from tests.double import Double
from tests.double.serving import AbortError

# Seconds that pass with each poll. A stream that has not ended after so many polls hangs.
POLL, MOST_POLLS = 0.4, 3000
STREAMS = 4


class Clock:
    """The time that modules see instead of the real one."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.polls = 0
        self.pollers = 0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def poll(self) -> None:
        """Time passes between two polls. Pollers take turns."""
        self.now += POLL / self.pollers
        self.polls += 1
        assert self.polls < MOST_POLLS, "the stream does not end"


class InProcess:
    """In place of connections, calls the stand-in's application. `before` is called before each request."""

    def __init__(self, double: Double) -> None:
        self.before: Callable[[], None] = lambda: None
        self._double = double

    def urlopen(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], **options: Any
    ) -> HTTPResponse:
        self.before()
        started: list[Any] = []
        answer = bytearray()
        try:
            chunks = self._double.answer(
                _environ(method, target, body or b"", headers),
                lambda status, headers, _=None: started.extend((status, headers)),
            )
            for chunk in chunks:
                answer += chunk
            if hasattr(chunks, "close"):
                chunks.close()
        except AbortError:
            if not started:
                raise ProtocolError("dropped") from None
        status, sent = started
        return HTTPResponse(io.BytesIO(answer), sent, int(status[:3]), preload_content=False, request_method=method)


def _environ(method: str, target: str, data: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "RAW_PATH": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(data),
        "raw.headers": dict(headers),
    }
    return environ | {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}


class Polled:
    """A subscription that polls when it is asked."""

    def __init__(self, poller: _Poller[Any], clock: Clock) -> None:
        self._poller, self._clock = poller, clock

    def wait(self, after: int, timeout: float) -> Snapshot[Any]:
        if timeout or after:
            self._clock.poll()
            self._poller._has_changed()
        return self._poller._snapshot


class Synchronous(Pollers[Any]):
    """Pollers without threads."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("synchronous")
        self._clock = clock

    @contextmanager
    def subscribe(self, key: object, poll: Callable[[Any], Any]) -> Iterator[Any]:
        poller = _Poller(poll, 0.0, 0.0)
        poller._has_changed()
        self._clock.pollers += 1
        try:
            yield Polled(poller, self._clock)
        finally:
            self._clock.pollers -= 1


class Finder:
    """Finds the run for everybody."""

    def __init__(self, web_ui: WebUi) -> None:
        self._web_ui = web_ui

    def to_read(self, query: Query, caller: object) -> Run:
        return self._web_ui.run(query.repo, query.run or 0)

    def job_to_read(self, query: Query, caller: object) -> Run:
        assert query.job is None or isinstance(query.job, int)
        return self._web_ui.run(query.repo, query.run or 0, query.job or 0, query.attempt or None)


class Access:
    """Lets everybody read."""

    def read(self, *args: object) -> None:
        """Says yes."""


class Simulation:
    """A stand-in and the product's use case of following it."""

    def __init__(self, version: str) -> None:
        self.double = Double(version)
        self.connections = InProcess(self.double)
        admin = self.double.world.admin
        self._transport = transport = Transport("http://forgejo.test", 10, 4, streams=STREAMS)
        transport._connections = self.connections
        session = AdminSession(transport, lambda: Credentials(admin.name, admin.password))
        session.check()
        self._web_ui, self._logs = WebUi(session), JobLogs(session)

    @property
    def open_streams(self) -> int:
        """How many logs are being read."""
        return STREAMS - self._transport._streams._free

    @property
    def world(self) -> Any:
        """The stand-in's world."""
        return self.double.world

    @contextmanager
    def following(self, before: Callable[[], None]) -> Iterator[Follow]:
        """Follows while `before` is called before each request."""
        clock = Clock()
        modules: list[Any] = [feed, guard, step_feed, streams, completeness]
        real = [module.time for module in modules]
        for module in modules:
            module.time = clock
        self.connections.before = before
        try:
            use_case = FollowLogs(Finder(self._web_ui), Access(), self._web_ui, self._logs, FollowLimits(99, 1e9))  # type: ignore[arg-type]
            use_case._jobs = use_case._runs = Synchronous(clock)
            yield Follow(use_case)
        finally:
            self.connections.before = lambda: None
            self.double.faults.clear()
            for module, its in zip(modules, real, strict=True):
                module.time = its


class Follow:
    """Follows a run's logs as a client does."""

    def __init__(self, use_case: FollowLogs) -> None:
        self._use_case = use_case

    def started(self, query: Query, cursors: Mapping[int, Cursor]) -> Following:
        """A client that gets an error asks again."""
        for _ in range(100):
            try:
                return self._use_case.follow(query, None, cursors, lambda: False)  # type: ignore[arg-type]
            except ApiError as error:
                last = error
        raise last

    def text(self, query: Query) -> bytes:
        """The whole stream as text."""
        found = self.started(query, {})
        try:
            return b"".join(events.as_text(found, LogOptions.of(query)))
        finally:
            found.close()

    def events(self, query: Query, cursors: Mapping[int, Cursor], stop: Callable[[bytes], bool]) -> bytes:
        """The stream of events, until `stop` is true for what has come so far."""
        found = self.started(query, cursors)
        data = b""
        try:
            for chunk in events.as_event_stream(found, LogOptions.of(query)):
                data += chunk
                if chunk and stop(data):
                    break
            return data
        finally:
            found.close()


def query(run: Any, **parameters: Any) -> Query:
    """A request about the stand-in's run."""
    owner, name = run.repo.full_name.split("/")
    return Query(repo=Repo(owner, name), run=run.index, follow=True, **parameters)
