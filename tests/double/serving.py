"""HTTP/1.1 with connections that stay open, for a WSGI application in a thread of this process.

werkzeug's own development server closes every connection, which hides what a client does with open ones.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class AbortError(Exception):
    """Raised by the application or its answer's iterator: the connection is closed as it is."""


class Handler(BaseHTTPRequestHandler):
    """Each connection has one, in a thread of its own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError):  # the client has gone, or the server is being stopped
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().handle()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [status, headers]

        chunks = None
        self.server.answering.append(self.path)
        try:
            chunks = self.server.application(self._environ(), start_response)
            self._send(started, chunks)
        except (AbortError, OSError):
            self.close_connection = True
        finally:
            self.server.answering.remove(self.path)
            if hasattr(chunks, "close"):
                chunks.close()  # type: ignore[union-attr]
        if self.close_connection:
            with contextlib.suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, started: list[Any], chunks: Iterable[bytes]) -> None:
        body = iter(chunks)
        first = next(body, b"")
        status, headers = started
        code = int(status.split(" ", 1)[0])
        self.send_response_only(code, status.partition(" ")[2])
        self.send_header("Date", self.date_time_string(self.server.clock()))
        for name, value in headers:
            self.send_header(name, value)
        bodiless = self.command == "HEAD" or code in (204, 304)
        chunked = not bodiless and "content-length" not in {name.lower() for name, _ in headers}
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in () if bodiless else itertools.chain((first,), body):
            if chunk:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _environ(self) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "RAW_PATH": path,
            "QUERY_STRING": query,
            "SERVER_NAME": self.server.server_address[0],
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.errors": io.StringIO(),
            "raw.headers": dict(self.headers.items()),
        }
        for name in self.headers:
            joined = ("; " if name.lower() == "cookie" else ", ").join(self.headers.get_all(name) or ())
            environ["HTTP_" + name.upper().replace("-", "_")] = joined
        body = self._body()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return environ

    def _body(self) -> bytes:
        """The whole body, so that the next request is found where it starts."""
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return body


class Server(ThreadingHTTPServer):
    """Listens on the loopback, from `start` to `stop`, which also ends the connections that are open.

    Unlike `serve_forever`, it does nothing while nobody connects.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, application: WsgiApp, port: int = 0, clock: Callable[[], float] = time.time) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.application = application
        self.clock = clock
        self.connections: set[socket.socket] = set()
        self.answering: list[str] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._take_connections, daemon=True)

    def start(self) -> None:
        """Takes connections in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the listening and every open connection."""
        self._stopping = True
        with contextlib.suppress(OSError):  # wakes the thread
            socket.create_connection(self.server_address[:2], timeout=1).close()
        self._thread.join()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _take_connections(self) -> None:
        while not self._stopping:
            self.handle_request()
