"""Connections whose client reads nothing are ended after a while, a few at a time; so are idle ones if there are many."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from addon.api import connections
from addon.api.connections import AT_ONCE, PAUSE, end_idle, end_stalled
from addon.api.server import create_server
from addon.journal import Journal
from tests.api.test_pacing import Clock
from tests.support.proxy import eventually

SECONDS = 10.0


class Over(Exception):
    """The test has seen enough looks."""


def test_a_few_are_ended_at_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = {number: _Channel() for number in range(2 * AT_ONCE + 1)}
    ended_at: list[float] = []

    class Server:
        active_channels: Any = channels

        def pull_trigger(self) -> None:
            ended_at.append(clock.now)
            for number in [number for number, channel in channels.items() if channel.will_close]:
                del channels[number]

    clock = _EndingClock(last=SECONDS + 10 * PAUSE)
    monkeypatch.setattr(connections, "time", clock)
    with pytest.raises(Over):
        end_stalled(Server(), SECONDS)
    first = ended_at[0]
    assert first > SECONDS
    assert ended_at == [first] * AT_ONCE + [first + PAUSE] * AT_ONCE + [first + 2 * PAUSE]


def test_the_longest_idle_are_ended_if_there_are_many() -> None:
    most, may_end, large = 3, threading.Event(), b"x" * (16 << 20)  # more than sockets hold

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            may_end.wait(20)
        body = large if environ["PATH_INFO"] == "/large" else b"ok"
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    server = create_server(app, 4, Journal("off", lambda action, status, seconds: None))
    threading.Thread(target=server.run, daemon=True).start()
    port = server.effective_port  # type: ignore[attr-defined]
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(2 * most + 2)]
    slow, reads_late, *idle = clients
    slow.request("GET", "/slow")
    reads_late.request("GET", "/large")
    for client in idle:
        assert _get(client) == b"ok"
    threading.Thread(target=end_idle, args=(server, most, 0.1), daemon=True).start()
    eventually(lambda: len(server.active_channels) == most + 2)
    for client in idle[:most]:
        assert client.sock.recv(1) == b""
    for client in idle[most:]:
        assert _get(client) == b"ok"
    assert reads_late.getresponse().read() == large
    may_end.set()
    assert slow.getresponse().read() == b"ok"
    for client in clients:
        client.close()
    server.close()


def _get(client: http.client.HTTPConnection) -> bytes:
    client.request("GET", "/")
    return client.getresponse().read()


class _Channel:
    """A connection of the WSGI server with bytes that nobody reads."""

    total_outbufs_len, last_activity, will_close = 1, 0.0, False
    socket = SimpleNamespace(shutdown=lambda how: None)


class _EndingClock(Clock):
    def __init__(self, last: float) -> None:
        super().__init__()
        self.now, self._last = 0.0, last

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.now > self._last:
            raise Over
