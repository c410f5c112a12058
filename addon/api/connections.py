"""Ends connections that would keep others out: those whose client has stopped reading, and idle ones if there are many.

The former hold a slot and a thread. The latter need no thread, but the server accepts only so many connections, and
looks at all of them at each event.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any, Protocol

# Seconds between two looks at the connections.
PAUSE = 0.5
# The most stalled connections that are ended at one look. Others take their places, and many new logs at once would
# slow down all requests.
AT_ONCE = 1
# So many connections may be idle for longer than so many seconds.
MOST_IDLE, IDLE_FOR = 512, 10.0


class Server(Protocol):
    """What is needed of the WSGI server: its connections, and a way to wake it."""

    active_channels: Mapping[int, Any]

    def pull_trigger(self) -> None: ...


def end_stalled(server: Server, seconds: float) -> None:
    """Forever ends each connection that has bytes to send and has sent none for so many seconds."""
    since: dict[Any, tuple[float, float]] = {}  # by connection: its last activity, and when it was first seen with it
    while True:
        time.sleep(PAUSE)
        now = time.monotonic()
        waiting = [channel for channel in list(server.active_channels.values()) if channel.total_outbufs_len]
        since = {channel: _unchanged(since.get(channel), channel.last_activity, now) for channel in waiting}
        stalled = (channel for channel, (_, first_seen) in since.items() if now - first_seen > seconds)
        for channel in islice(stalled, AT_ONCE):
            _end(server, channel)


def _unchanged(before: tuple[float, float] | None, activity: float, now: float) -> tuple[float, float]:
    return before if before is not None and before[0] == activity else (activity, now)


def end_idle(server: Server, most: int = MOST_IDLE, seconds: float = IDLE_FOR) -> None:
    """Forever ends connections that have been idle for so many seconds, if there are more than `most` of them.

    Those that have been idle for longest are ended. The proxy opens another one for the client's next request. A
    connection is not idle while a client reads a response slowly.
    """
    while True:
        time.sleep(PAUSE)
        before = time.time() - seconds
        quiet = [channel for channel in list(server.active_channels.values()) if channel.last_activity < before]
        idle = [channel for channel in quiet if not (channel.requests or channel.total_outbufs_len)]
        idle.sort(key=lambda channel: channel.last_activity)
        for channel in idle[: max(len(idle) - most, 0)]:
            _end(server, channel)


def _end(server: Server, channel: Any) -> None:
    """Closes the connection. The server does so itself once its socket is shut down and it is woken."""
    channel.will_close = True
    with contextlib.suppress(OSError, AttributeError):  # it may have been closed meanwhile
        channel.socket.shutdown(socket.SHUT_RDWR)
    server.pull_trigger()
