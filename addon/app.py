"""The loopback application: HTTP in, the service's answer out. Started by the addon as `python -m addon.app`.

It reads one line of JSON from standard input (settings and a secret), prints one line with its port, and ends when
standard input closes: it never outlives the proxy. A request without the secret gets nothing.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import sys
import threading
import time
import traceback

import waitress.server
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from addon import __version__, credentials, routes
from addon.access import Access
from addon.admin import AdminSession
from addon.answers import ANSWERS, own
from addon.artifacts import Artifacts
from addon.errors import ApiError, Busy, Forbidden
from addon.followservice import FollowLimits
from addon.forgejo import Forgejo
from addon.joblogs import JobLogs
from addon.limits import PATIENCE, RETRY_AFTER
from addon.replies import caller_of, error_answer
from addon.service import Service, Timings
from addon.settings import Settings
from addon.transport import Transport

log = logging.getLogger("addon")

SECRET_HEADER = "X-Actions-Secret"
# When the proxy handed the request over, by the machine's monotonic clock, in seconds.
ARRIVED_HEADER = "X-Actions-Arrived"
# Threads for each of `actions_threads`: those that wait for a place, or read a log, keep nobody else out. Followers
# have theirs beside them.
ROOM = 4
# The port is the proxy's alone. It keeps a connection for each client, so the server's own limit of 100 would be
# one of clients.
CONNECTIONS, IDLE_SECONDS = 4096, 600
# Bytes of an answer that may wait for the proxy to take them: a slow reader of a large log costs no more memory.
WAITING_BYTES = 256 * 1024


def build(settings: Settings) -> Service:
    """The service for one Forgejo. Callers' questions and the administrator's never share a connection, nor can a
    flood of the one keep the other from its places."""
    half = settings.threads // 2
    callers = Transport(settings.upstream, settings.timeout, half)
    admin = Transport(settings.upstream, settings.timeout, half, streams=settings.threads)
    session = AdminSession(admin, credentials.from_environment)
    limits = FollowLimits(settings.followers, settings.recheck)
    return Service(
        Access(callers), Forgejo(session), JobLogs(session), Artifacts(session), settings.default_attempt, limits
    )


def create_app(service: Service, secret: str) -> Flask:
    """The WSGI application. It has no routes of its own: only the addon knows which paths are forwarded here."""
    app = Flask("addon", static_folder=None)

    @app.before_request  # also for what no pattern of Flask's would match, such as a line end in a name
    def answer() -> Response:
        timings = Timings()
        try:
            response = _answer(service, secret, timings)
        except ApiError as error:
            response = error_answer(error.status, error.message, error.headers)
        except Exception as error:  # whatever it is, the caller gets an error and no detail
            _log_unexpected(error)
            response = error_answer(500, "internal error of the Actions extension")
        return _marked(response, timings)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        return _marked(error_answer(error.code or 500, error.name), Timings())

    return app


def _answer(service: Service, secret: str, timings: Timings) -> Response:
    if not hmac.compare_digest(request.headers.get(SECRET_HEADER, "").encode(), secret.encode()):
        raise Forbidden("this port answers only the proxy beside it")
    if time.monotonic() - float(request.headers[ARRIVED_HEADER]) > PATIENCE:
        raise Busy("too many requests at once; try again later", RETRY_AFTER)
    target = request.environ["REQUEST_URI"]
    if (name := routes.own_page(request.method, target)) is not None:
        return own(name)
    query = routes.parse(request.method, target)
    return ANSWERS[query.action](service, query, caller_of(request), timings)


def _log_unexpected(error: Exception) -> None:
    """What happened and where. The exception's text stays out: it may quote a page, an address or a header."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    log.error("unexpected %s at %s", type(error).__name__, places)


def _marked(response: Response, timings: Timings) -> Response:
    """The headers that every answer of the extension carries."""
    response.headers["X-Actions-Extension"] = __version__
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    parts = (f"{name};dur={seconds * 1000:.1f}" for name, seconds in timings.parts.items())
    response.headers["Server-Timing"] = ", ".join(parts) or "none"
    return response


def main() -> None:
    """Reads the start line, serves on a free loopback port, ends with the parent."""
    logging.basicConfig(level=os.environ.get("ACTIONS_LOG_LEVEL", "INFO"), format="actions extension: %(message)s")
    for noisy in ("waitress", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    start = json.loads(sys.stdin.readline())
    settings = Settings.from_json(start["settings"])
    server = waitress.server.create_server(
        create_app(build(settings), start["secret"]),
        host="127.0.0.1",
        port=0,
        threads=settings.threads * ROOM + settings.followers,
        ident=None,
        connection_limit=CONNECTIONS,
        asyncore_use_poll=True,
        outbuf_high_watermark=WAITING_BYTES,
        channel_request_lookahead=1,  # else a client that has left is noticed at the next byte only
        channel_timeout=IDLE_SECONDS,
        expose_tracebacks=False,
    )
    print(json.dumps({"port": int(server.effective_port)}), flush=True)  # type: ignore[union-attr]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Thread(target=_tell_collisions, args=(settings,), daemon=True).start()
    server.run()


def _tell_collisions(settings: Settings) -> None:
    """Says who answers the paths that Forgejo has itself since v16: a client must not take one for the other."""
    try:
        answer = Transport(settings.upstream, settings.timeout, 1).request("GET", "/api/v1/version")
        version = str(answer.json()["version"])
    except (ApiError, KeyError, TypeError):
        return  # it is not up yet, or no Forgejo; requests will say so
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < routes.COLLISIONS_SINCE:
        return
    means = {"extension": "a run number, answered here", "native": "a database id, answered by Forgejo"}
    log.warning(
        "Forgejo %s has runs/{x}/jobs, logs, artifacts and cancel itself; with actions_collisions: %s, {x} is %s",
        version,
        settings.collisions,
        means[settings.collisions],
    )


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
