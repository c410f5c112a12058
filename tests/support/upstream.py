"""A bare upstream for tests of pass-through: it records what arrives and answers by path."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

MEGABYTE = bytes(range(256)) * 4096


class SupportsWrite(Protocol):
    """A file, a pipe or a digest behind one."""

    def write(self, data: bytes, /) -> object: ...


class _Digest:
    """Takes bytes and keeps none."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes, /) -> None:
        self.sha256.update(data)


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; `headers` in their order and case."""

    method: str
    path: str
    header_list: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name."""
        return dict(self.header_list)


class Upstream:
    """A server on a free loopback port; /events streams, /big/N sends N MB, /count counts an upload, /digest hashes it, else 200."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        upstream = self

        class Handler(_Handler):
            seen = upstream.requests

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Upstream:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def request_body(handler: http.server.BaseHTTPRequestHandler) -> bytes:
    """The body of the request that a handler has read the head of."""
    body = io.BytesIO()
    copy_request_body(handler, body)
    return body.getvalue()


def copy_request_body(handler: http.server.BaseHTTPRequestHandler, target: SupportsWrite) -> None:
    """The same, written to `target` in parts."""
    if handler.headers.get("Transfer-Encoding") != "chunked":
        _copy(handler, int(handler.headers.get("Content-Length") or 0), target)
        return
    while size := int(handler.rfile.readline(), 16):
        _copy(handler, size, target)
        handler.rfile.readline()
    handler.rfile.readline()


def _copy(handler: http.server.BaseHTTPRequestHandler, size: int, target: SupportsWrite) -> None:
    while size:
        part = handler.rfile.read(min(1 << 20, size))
        if not part:
            raise EOFError
        target.write(part)
        size -= len(part)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[Seen]

    def handle_any(self) -> None:
        kind, _, argument = self.path.partition("?")[0].lstrip("/").partition("/")
        if kind in ("count", "digest"):
            self._count() if kind == "count" else self._digest()
            return
        body = request_body(self)
        self.seen.append(Seen(self.command, self.path, tuple(self.headers.items()), body))
        if kind == "big":
            self._big(int(argument))
        elif kind == "events":
            self._events()
        elif kind == "status":
            self.send_response(int(argument))
            for cookie in ("a=1", "b=2"):
                self.send_header("Set-Cookie", cookie)
            if int(argument) >= 300:
                self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._plain(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

    def _plain(self, body: bytes) -> None:
        answer = body or b"hello"
        self.send_response(200)
        for name, value in (("X-Upstream", "yes"), ("x-lower", "a"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def _big(self, megabytes: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(megabytes << 20))
        self.end_headers()
        for _ in range(megabytes):
            self.wfile.write(MEGABYTE)

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3):
            self.wfile.write(b"10\r\nevent: %d%s\r\n" % (number, b" " * 8))
            time.sleep(0.3)
        self.wfile.write(b"0\r\n\r\n")

    def _count(self) -> None:
        left, size = int(self.headers["Content-Length"]), 0
        while size < left:
            size += len(self.rfile.read(min(1 << 20, left - size)))
        self._text(str(size))

    def _digest(self) -> None:
        digest = _Digest()
        copy_request_body(self, digest)
        self._text(digest.sha256.hexdigest())

    def _text(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""
