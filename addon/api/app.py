"""The application: a WSGI server on loopback that answers extension requests. The proxy starts it.

It reads one line of JSON from standard input, with settings, a secret, and the descriptor of `OtherTraffic`. It prints
one line with its port, and later lines with what it learns of Forgejo. Any further line on standard input tells it to
end followed streams; when standard input closes, it exits, so it never outlives the proxy. It refuses requests without
the secret.
"""

from __future__ import annotations

import gc
import hmac
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from addon import __version__, journal, trace
from addon.api import request, routes
from addon.api.about import pages
from addon.api.composition import Parts, build, connect
from addon.api.connections import end_idle, end_stalled
from addon.api.native import paths
from addon.api.pacing import Pace
from addon.api.responses import error_response
from addon.api.server import create_server
from addon.caller import Caller
from addon.errors import ApiError, Busy, Forbidden, InternalError, RunNotFound, log_unexpected
from addon.inherited.other_traffic import OtherTraffic
from addon.internal_headers import ARRIVED_HEADER, SECRET_HEADER, TRACE_HEADER
from addon.journal import Wsgi
from addon.limits import PATIENCE, RETRY_AFTER
from addon.settings import Settings
from addon.trace import Operation

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Server threads per `actions_threads`: requests that wait for a slot or a run, or send a log, keep others out of no
# thread. Followers have further threads.
ROOM = 5
# Seconds for which a thread that computes may keep others from running. Python's default, 5 ms, makes a request wait
# that long each time it has heard from Forgejo, while another one parses a large log.
SWITCH = 0.0005


def create_app(parts: Parts, secret: str) -> Wsgi:
    """The WSGI application. The proxy decides which requests come here."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with request.present(environ):
            response = _with_headers(_with_cors(parts, _response(parts, secret)))
        return response(environ, start_response)

    return application


def _response(parts: Parts, secret: str) -> Response:
    """The response to the present request, also if it is an error."""
    try:
        return _answer(parts, secret)
    except ApiError as error:
        trace.current().error = error.message if error.status >= 500 else None
        return error_response(error.status, error.message, error.headers)
    except Exception as error:  # the caller gets no details
        log_unexpected(error)
        return error_response(500, InternalError().message)


def _answer(parts: Parts, secret: str) -> Response:
    if not hmac.compare_digest(request.headers().get(SECRET_HEADER, "").encode(), secret.encode()):
        raise Forbidden("this port answers only the proxy beside it")
    if time.monotonic() - float(request.headers()[ARRIVED_HEADER]) > PATIENCE:
        raise Busy("too many requests at once; try again later", RETRY_AFTER)
    if _is_preflight() and (allowed := parts.cors.preflight(dict(request.headers()))) is not None:
        trace.current().operation = Operation(journal.PREFLIGHT)
        response = Response(None, 200, allowed)
        del response.headers["Content-Type"]  # it has no body
        return response
    target = request.target()
    if routes.is_about(target):
        trace.current().operation = Operation(journal.ABOUT)
        return pages.page(routes.about_page(request.method(), target) or "", parts.about, request.caller())
    caller = request.caller()
    trace.current().shares = caller.shares
    if request.method() == "POST" and request.headers().get("Sec-Fetch-Site") == "cross-site":
        raise Forbidden("a page of another site can't change anything here")
    try:
        if by_id := paths.parse(target, parts.collisions):
            trace.current().operation = paths.operation(by_id)
            return parts.native.answer(by_id, caller)
        return _by_number(parts, target, caller)
    finally:
        if trace.current().may_write:  # also after a failure: the log names who wanted a change
            trace.current().caller = parts.access.login(caller) or "unknown"


def _by_number(parts: Parts, target: str, caller: Caller) -> Response:
    parsed = routes.parse(request.method(), target, request.body(), parts.max_wait)
    trace.current().operation = routes.operation(parsed)
    try:
        return parts.handlers[parsed.action](parsed.query, caller)
    except RunNotFound as missing:
        raise parts.finder.with_hint(missing, parsed.query, caller) from None


def _is_preflight() -> bool:
    """Whether a browser asks for permission to send a request from a page of another origin."""
    return request.method() == "OPTIONS" and "Access-Control-Request-Method" in request.headers()


def _with_cors(parts: Parts, response: Response) -> Response:
    """Lets a browser's page of another origin read the response, if Forgejo lets it read its API's."""
    if "Origin" in request.headers() and not _is_preflight():
        allowed = dict(parts.cors.reading(request.headers()["Origin"], request.method()))
        if vary := allowed.pop("vary", None):
            response.vary.add(vary)
        response.headers.update(allowed)
    return response


def _with_headers(response: Response) -> Response:
    """Adds the headers that every response of the extension has."""
    seen = trace.current()
    response.headers["X-Actions-Extension"] = __version__
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    timings = (f"{name};dur={seconds * 1000:.1f}" for name, seconds in seen.timings.items())
    response.headers["Server-Timing"] = ", ".join(timings) or "none"
    if TRACE_HEADER in request.headers():
        line = journal.request_line(seen.operation) if seen.operation and seen.operation.repo else ""
        response.headers[TRACE_HEADER] = seen.as_header(line)
    return response


def main() -> None:
    """Reads the start line and serves on a free loopback port."""
    start = json.loads(sys.stdin.readline())
    settings = Settings.from_json(start["settings"])
    try:
        journal.set_up(settings.log, os.environ.get("ACTIONS_LOG_LEVEL", "INFO"))
    except ValueError as error:
        sys.exit(f"actions extension: {error}")
    sys.setswitchinterval(SWITCH)
    upstream = connect(settings)
    others = OtherTraffic(start["traffic"])
    parts, pace = build(settings, upstream, others), Pace(others)
    app = parts.journal.around(pace.around(create_app(parts, start["secret"])))
    server = create_server(app, settings.threads * ROOM + settings.followers, parts.journal)
    port = int(server.effective_port)  # type: ignore[attr-defined]
    _tell_proxy({"port": port, **upstream.known})
    upstream.keep_checking(lambda: _tell_proxy(upstream.known))
    threading.Thread(target=_obey_proxy, args=(parts,), daemon=True).start()
    threading.Thread(target=end_stalled, args=(server, settings.read_timeout), daemon=True).start()
    threading.Thread(target=end_idle, args=(server,), daemon=True).start()
    gc.freeze()  # otherwise every full collection looks at all modules, and stops every request meanwhile
    server.run()


def _tell_proxy(message: Mapping[str, object]) -> None:
    print(json.dumps(message), flush=True)


def _obey_proxy(parts: Parts) -> None:
    """Ends followed streams at the first line from the proxy, and the process at the end of its input."""
    for _ in sys.stdin:
        parts.following.stopping = True
    os._exit(0)


if __name__ == "__main__":
    main()
