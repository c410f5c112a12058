"""The loopback application: HTTP in, the service's answer out. Started by the addon as `python -m addon.api.app`.

It reads one line of JSON from standard input (settings and a secret), prints one line with its port, and later others
with what it learns of Forgejo. At the next line that it reads it lets followers go, and when standard input closes it
ends: it never outlives the proxy. A request without the secret gets nothing.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import waitress.server
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter

from addon import __version__, trace
from addon.actions.finding.selector import Selecting
from addon.actions.following.follow_logs import FollowLimits
from addon.actions.service import Service, Timings
from addon.actions.waiting import Waiting, WaitLimits
from addon.api import journal, routes
from addon.api.about import health, pages
from addon.api.about.health import Health
from addon.api.about.metrics import Metrics
from addon.api.answers.handlers import ANSWERS
from addon.api.journal import Journal
from addon.api.responses import caller_of, error_answer
from addon.errors import ApiError, Busy, Forbidden, InternalError, RunNotFound, unexpected
from addon.forgejo.access import Access
from addon.forgejo.admin import credentials
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.artifacts import Artifacts
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.runs_api import Rest
from addon.forgejo.transport import Transport
from addon.forgejo.upstream import Upstream, version_told
from addon.forgejo.web_ui import Forgejo
from addon.limits import PATIENCE, RETRY_AFTER
from addon.settings import Settings

log = logging.getLogger("addon")

SECRET_HEADER = "X-Actions-Secret"
# When the proxy handed the request over, by the machine's monotonic clock, in seconds.
ARRIVED_HEADER = "X-Actions-Arrived"
# With this, the proxy asks for the request's record, and gets it in the answer's header of that name.
TRACE_HEADER = "X-Actions-Trace"
# Threads for each of `actions_threads`: those that wait for a place or for a run, or read a log, keep nobody else out.
# Followers have theirs beside them.
ROOM = 5
# The port is the proxy's alone. It keeps a connection for each client, so the server's own limit of 100 would be
# one of clients.
CONNECTIONS, IDLE_SECONDS = 4096, 600
# Bytes of an answer that may wait for the proxy to take them: a slow reader of a large log costs no more memory.
WAITING_BYTES = 256 * 1024
# How long the start is held up, in seconds, by a Forgejo that doesn't answer.
FIRST_LOOK = 2.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers requests: the service, the pages about the extension itself, and who writes down what was asked."""

    service: Service
    inside: pages.Inside
    journal: Journal


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def build(settings: Settings, upstream: Upstream) -> Parts:
    """The parts for one Forgejo. Callers' questions and the administrator's never share a connection, nor can a
    flood of the one keep the other from its places."""
    half, metrics = settings.threads // 2, Metrics()
    callers = Transport(settings.upstream, settings.timeout, half, who="caller", asked=metrics.asked)
    admin = Transport(
        settings.upstream, settings.timeout, half, streams=settings.threads, who="session", asked=metrics.asked
    )
    session = AdminSession(admin, credentials.from_environment)
    access, forgejo = Access(callers, upstream.learn), Forgejo(session)
    rest = Rest(access)
    selecting = Selecting(access, rest, forgejo, lambda: upstream.newest_first)
    waiting = Waiting(access, forgejo, selecting, WaitLimits(settings.threads, settings.max_wait, settings.recheck))
    limits = FollowLimits(settings.followers, settings.recheck)
    service = Service(
        access,
        forgejo,
        JobLogs(session),
        Artifacts(session),
        rest,
        selecting,
        waiting,
        settings.default_attempt,
        limits,
    )
    return Parts(
        service,
        pages.Inside(
            Health(lambda: health.look(callers, session)),
            metrics if settings.metrics else None,
            settings,
            lambda caller: version_told(callers, caller.headers, caller.parameters),
        ),
        Journal(settings.log, metrics.answered),
    )


class AnyPath(PathConverter):
    """Any path, also with a line end in it, which an artifact's name may hold."""

    regex = "(?s:[^/].*?)"


def create_app(parts: Parts, secret: str) -> Flask:
    """The WSGI application. Every path is its own 404: only the addon knows which are forwarded here."""
    app = Flask("addon", static_folder=None)
    app.url_map.converters["path"] = AnyPath

    @app.route("/", defaults={"path": ""}, methods=METHODS)
    @app.route("/<path:path>", methods=METHODS)
    def answer(path: str) -> Response:
        timings = Timings()
        try:
            response = _answer(parts, secret, timings)
        except ApiError as error:
            trace.current().error = error.message if error.status >= 500 else None
            response = error_answer(error.status, error.message, error.headers)
        except Exception as error:  # whatever it is, the caller gets an error and no detail
            unexpected(error)
            response = error_answer(500, InternalError().message)
        return _marked(response, timings)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        return _marked(error_answer(error.code or 500, error.name), Timings())

    return app


def _answer(parts: Parts, secret: str, timings: Timings) -> Response:
    if not hmac.compare_digest(request.headers.get(SECRET_HEADER, "").encode(), secret.encode()):
        raise Forbidden("this port answers only the proxy beside it")
    if time.monotonic() - float(request.headers[ARRIVED_HEADER]) > PATIENCE:
        raise Busy("too many requests at once; try again later", RETRY_AFTER)
    target = request.environ["REQUEST_URI"]
    if (name := routes.own_page(request.method, target)) is not None:
        return pages.answer(name, parts.inside, caller_of(request))
    query = trace.current().query = routes.parse(request.method, target)
    caller = caller_of(request)
    try:
        return ANSWERS[query.action](parts.service, query, caller, timings)
    except RunNotFound as missing:
        raise parts.service.explained(missing, query, caller) from None
    finally:
        if trace.current().may_write:  # whatever became of it: who was it?
            trace.current().caller = parts.service.login(caller) or "unknown"


def _marked(response: Response, timings: Timings) -> Response:
    """The headers that every answer of the extension carries."""
    response.headers["X-Actions-Extension"] = __version__
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    parts = (f"{name};dur={seconds * 1000:.1f}" for name, seconds in timings.parts.items())
    response.headers["Server-Timing"] = ", ".join(parts) or "none"
    if TRACE_HEADER in request.headers:
        query = trace.current().query
        response.headers[TRACE_HEADER] = trace.current().header(journal.described(query) if query else "")
    return response


def main() -> None:
    """Reads the start line, serves on a free loopback port, ends with the parent."""
    start = json.loads(sys.stdin.readline())
    settings = Settings.from_json(start["settings"])
    try:
        journal.set_up(settings.log, os.environ.get("ACTIONS_LOG_LEVEL", "INFO"))
    except ValueError as error:
        sys.exit(f"actions extension: {error}")
    upstream = Upstream(Transport(settings.upstream, min(settings.timeout, FIRST_LOOK), 1))
    upstream.look()
    parts = build(settings, upstream)
    server = waitress.server.create_server(
        parts.journal.around(create_app(parts, start["secret"])),
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
        clear_untrusted_proxy_headers=False,  # only the proxy connects here, and hands on what Forgejo is to judge
    )
    port = int(server.effective_port)  # type: ignore[union-attr]
    _tell_proxy({"port": port, "lists_runs": upstream.lists_runs})
    upstream.keep_looking(lambda lists_runs: _tell_proxy({"lists_runs": lists_runs}))
    threading.Thread(target=_obey_parent, args=(parts.service,), daemon=True).start()
    _tell_collisions(upstream, settings)
    server.run()


def _tell_proxy(what: Mapping[str, object]) -> None:
    print(json.dumps(what), flush=True)


def _tell_collisions(upstream: Upstream, settings: Settings) -> None:
    """Says who answers the paths that Forgejo has itself since v16: a client must not take one for the other."""
    if (upstream.major or 0) < routes.COLLISIONS_SINCE:
        return
    means = {"extension": "a run number, answered here", "native": "a database id, answered by Forgejo"}
    log.warning(
        "Forgejo %s has runs/{x}/jobs, logs, artifacts and cancel itself; with actions_collisions: %s, {x} is %s",
        upstream.version,
        settings.collisions,
        means[settings.collisions],
    )


def _obey_parent(service: Service) -> None:
    """Any line means that a stop has begun: followers are told, and their streams end. The end of input is the end."""
    for _ in sys.stdin:
        service.following.stopping = True
    os._exit(0)


if __name__ == "__main__":
    main()
