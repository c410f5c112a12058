"""The upstream of all contestants, a process of its own that costs little beside a proxy.

GET /small answers with 1 kB, `ANSWER_SECONDS` after the request. GET /bytes/N sends N bytes at once, as fast as they
are taken. PUT /count answers with the size of the body. Everything else is a 404.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from addon import ROOT

ANSWER_SECONDS = 0.002
PART = bytes(range(256)) * 1024
SMALL = b"x" * 1024
# As many and as long headers as Forgejo's API sends.
HEAD = (
    b"HTTP/1.1 %s\r\nCache-Control: max-age=0, private, must-revalidate, no-transform\r\n"
    b"Content-Type: application/json;charset=utf-8\r\nVary: Origin\r\nX-Content-Type-Options: nosniff\r\n"
    b"X-Frame-Options: SAMEORIGIN\r\nX-Total-Count: 12\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Length: %d\r\n\r\n"
)


class _Connection(asyncio.Protocol):
    """One client connection; requests come one after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._body_left = 0
        self._body_size = 0
        self._parts: Iterator[bytes] = iter(())
        self._writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._body_left:
            self._body_left -= len(data)
            if not self._body_left:
                self._answer(b"%d" % self._body_size)
            return
        self._buffer += data
        if b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            self._buffer = b""
            self._request(head, rest)

    def _request(self, head: bytes, rest: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path == b"/small":
            asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._answer, SMALL)
        elif path.startswith(b"/bytes/"):
            size = int(path[7:])
            self._write(HEAD % (b"200 OK", size))
            self._parts = parts(size)
            self.resume_writing()
        elif path == b"/count":
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            self._body_size = self._body_left = int(length.partition(b":")[2])
            self.data_received(rest) if rest else None
        else:
            self._answer(b"", b"404 Not Found")

    def _answer(self, body: bytes, status: bytes = b"200 OK") -> None:
        self._write(HEAD % (status, len(body)) + body)

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(data)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        """Sends on what is left of a stream, until the client is slower."""
        self._writable = True
        for part in self._parts:
            self._write(part)
            if not self._writable:
                return


def parts(size: int) -> Iterator[bytes]:
    """So many bytes."""
    for _ in range(size // len(PART)):
        yield PART
    if rest := size % len(PART):
        yield PART[:rest]


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def start_upstream() -> Iterator[str]:
    """The upstream's URL, while the block runs."""
    command = [sys.executable, "-m", "tests.bench.upstream"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
