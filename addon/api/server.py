"""The WSGI server on loopback. Requests that it refuses by itself, such as too large ones, are answered in JSON too."""

from __future__ import annotations

import json
import time

import waitress.server
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from addon import __version__, trace
from addon.errors import InternalError
from addon.journal import Entry, Journal, Wsgi

# The proxy keeps one connection per client, so the server's default of 100 would be a limit of clients.
CONNECTIONS, IDLE_SECONDS = 4096, 600
# How many bytes of a response may wait for the proxy. So a slow reader of a large log needs no more memory.
WAITING_BYTES = 256 * 1024
# The largest head of a request, in bytes.
MOST_HEAD = 256 * 1024
TOO_LARGE = 431


def create_server(app: Wsgi, threads: int, journal: Journal) -> waitress.server.TcpWSGIServer:
    """A server on 127.0.0.1, at its `effective_port`. `journal` logs the requests that do not reach `app`."""

    class Refusal(ErrorTask):
        """The response to a request that the server can't read."""

        def execute(self) -> None:
            error = self.request.error  # type: ignore[attr-defined]  # this stub is of another class
            message = "the request is malformed"
            if error.code == 500:  # the application could not answer
                message = InternalError().message
            elif error.code == TOO_LARGE:
                message = f"the headers are larger than {MOST_HEAD >> 10} KiB"
            body = json.dumps({"message": message}).encode() + b"\n"
            self.status = f"{error.code} {error.reason}"
            self.response_headers = [
                ("Content-Type", "application/json; charset=utf-8"),
                ("X-Actions-Extension", __version__),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("Server-Timing", "none"),
            ]
            self.set_close_on_finish()
            self.content_length = len(body)
            self.write(body)
            method, target = _request_line(self.request, error.code)
            milliseconds = (time.time() - self.start_time) * 1000
            journal.write(Entry(method, target, error.code, milliseconds, len(body), True, trace.Trace()))

    class Channel(HTTPChannel):
        error_task_class = Refusal

    server = waitress.server.create_server(
        app,
        host="127.0.0.1",
        port=0,
        threads=threads,
        ident=None,
        connection_limit=CONNECTIONS,
        asyncore_use_poll=True,
        outbuf_high_watermark=WAITING_BYTES,
        max_request_header_size=MOST_HEAD,
        channel_request_lookahead=1,  # otherwise a disconnected client is noticed only when the next byte is sent
        channel_timeout=IDLE_SECONDS,
        expose_tracebacks=False,
        clear_untrusted_proxy_headers=False,  # only the proxy connects here; Forgejo is to see these headers
    )
    assert isinstance(server, waitress.server.TcpWSGIServer)  # noqa: S101  # there is one socket
    server.channel_class = Channel
    return server


def _request_line(request: object, code: int) -> tuple[str, str]:
    """Method and target. For too large headers, waitress has put another line in their place."""
    line = getattr(request, "header_plus" if code == TOO_LARGE else "first_line", b"").partition(b"\r\n")[0]
    method, _, rest = line.decode("latin-1").partition(" ")
    return method, rest.partition(" ")[0]
