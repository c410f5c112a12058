"""Clients: many small requests on open connections, and bodies of any size. Cheap, so that the server is what is measured."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
BUFFER = 1 << 20
TIMEOUT = 120.0


@dataclass(frozen=True)
class Latencies:
    """Seconds that each request took, sorted, of a run that took `seconds` in all."""

    each: Sequence[float]
    seconds: float

    @property
    def per_second(self) -> float:
        """Requests."""
        return len(self.each) / self.seconds

    def percentile(self, percent: float) -> float:
        """In milliseconds."""
        return 1000 * self.each[min(int(len(self.each) * percent / 100), len(self.each) - 1)]


class _Client(asyncio.Protocol):
    """Sends one request after the other until told to stop."""

    def __init__(self, request: bytes, until: float) -> None:
        self.took: list[float] = []
        self.ended = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._started = 0.0
        self._left: int | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        self._started = time.perf_counter()
        if self._started >= self._until:
            self._transport.close()
            return
        self._left, self._head = None, b""
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._left is None:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            length = LENGTH.search(head)
            if not head.startswith(b"HTTP/1.1 200 ") or length is None:
                self._fail(ValueError(f"answer: {head[:200]!r}"))
                return
            self._left, data = int(length[1]), body
        self._left -= len(data)
        if self._left <= 0:
            self.took.append(time.perf_counter() - self._started)
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self._until:
            self._fail(error or ConnectionError("the connection was closed"))
        elif not self.ended.done():
            self.ended.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
        self._transport.abort()


def request(path: str, headers: dict[str, str] | None = None, method: str = "GET") -> bytes:
    """A request's head, with what a browser or client library also sends."""
    lines = [f"{method} {path} HTTP/1.1", "Host: forge.example"]
    sent = {"User-Agent": "bench/1", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"} | (headers or {})
    lines += [f"{name}: {value}" for name, value in sent.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def requests_for(url: str, head: bytes, connections: int, seconds: float) -> Latencies:
    """The same request again and again on so many connections. Raises when an answer isn't a 200."""
    return asyncio.run(run_requests(url, head, connections, seconds))


async def run_requests(url: str, head: bytes, connections: int, seconds: float) -> Latencies:
    """As `requests_for`, in a running loop."""
    loop, (host, port) = asyncio.get_running_loop(), address(url)
    started = time.perf_counter()
    clients = [
        (await loop.create_connection(lambda: _Client(head, started + seconds), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.wait_for(asyncio.gather(*(client.ended for client in clients)), seconds + TIMEOUT)
    took = sorted(each for client in clients for each in client.took)
    return Latencies(took, time.perf_counter() - started)


def address(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    return parts.hostname, parts.port


@dataclass(frozen=True)
class Transfer:
    """A body that went through: its size, the seconds it took in all and until the first byte of the answer."""

    size: int
    seconds: float
    first_byte: float

    @property
    def megabytes_per_second(self) -> float:
        return self.size / self.seconds / 1e6


def download(
    url: str,
    path: str,
    headers: dict[str, str] | None = None,
    over: Callable[[], bool] = lambda: False,
    pace: float = math.inf,
) -> Transfer:
    """Reads an answer to its end, or until it is over, at so many bytes a second at most.

    Without a length the chunk marks count as a part of the body.
    """
    buffer, size, first = bytearray(BUFFER), 0, 0.0
    with socket.create_connection(address(url), timeout=TIMEOUT) as connection:
        started = time.perf_counter()
        connection.sendall(request(path, {"Connection": "close"} | (headers or {})))
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
            first = first or time.perf_counter() - started
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"answer: {head[:200]!r}")
        size = len(head) - head.index(b"\r\n\r\n") - 4
        length = LENGTH.search(head)
        end = int(length[1]) if length else None
        while size != end and not over() and (count := connection.recv_into(buffer)):
            size += count
            time.sleep(max(size / pace - (time.perf_counter() - started), 0)) if pace < math.inf else None
    if end is not None and size != end and not over():
        raise ValueError(f"{size} bytes instead of {end}")
    return Transfer(size, time.perf_counter() - started, first)


def upload(url: str, size: int) -> Transfer:
    """Sends so many bytes, and reads that they arrived."""
    part = bytes(BUFFER)
    with socket.create_connection(address(url), timeout=TIMEOUT) as connection:
        started = time.perf_counter()
        connection.sendall(request("/count", {"Content-Length": str(size), "Connection": "close"}, "PUT"))
        for _ in range(size // BUFFER):
            connection.sendall(part)
        connection.sendall(part[: size % BUFFER])
        answer = b""
        while not answer.endswith(b"\r\n\r\n%d" % size):
            data = connection.recv(65536)
            if not data:
                raise ValueError(f"answer: {answer[:200]!r}")
            answer += data
    took = time.perf_counter() - started
    return Transfer(size, took, took)
