"""The stand-in itself: a Flask application on a loopback port, with a record of what it was asked."""

from __future__ import annotations

import functools
import gzip
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from flask import Flask, Response, g, request
from werkzeug.routing import PathConverter

from tests.double import api, artifacts, description, faults, git, native, native_jobs, runner, signin, web
from tests.double.context import Context, Settings
from tests.double.faults import Fault
from tests.double.identity import credentials
from tests.double.permissions import Principal
from tests.double.serving import Server
from tests.double.sessions import Session, Sessions
from tests.double.versions import VERSIONS
from tests.double.world import World

CHUNKED_FROM = 2048
COMPRESSED_UP_TO = 8 * 1024 * 1024
assert native and native_jobs and artifacts  # imported for their routes


@dataclass
class Recorded:
    """One request. `status` is None until its answer has begun."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    principal: str
    status: int | None = None


class Double:
    """A stand-in Forgejo. `version` may be changed while it runs, as an upgrade does."""

    def __init__(
        self, version: str = "v15", world: World | None = None, root_url: str = "http://forgejo.test/", port: int = 0
    ) -> None:
        self.world = world or World()
        self.version = version
        self.root = root_url.rstrip("/")
        self.settings = Settings()
        self.sessions = Sessions()
        self.faults: list[Fault] = []
        self.requests: list[Recorded] = []
        self.seconds_ahead = 0.0  # of the server's clock, as its Date header shows it
        self._port = port
        self._server: Server | None = None
        self._flask = _application()

    @property
    def version(self) -> str:
        return self.world.version.name

    @version.setter
    def version(self, name: str) -> None:
        self.world.version = VERSIONS[name]

    @property
    def url(self) -> str:
        """Where it listens; the port stays the same after a stop."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Double:
        if self._server is None:
            self._server = Server(self.answer, self._port, lambda: time.time() + self.seconds_ahead)
            self._port = int(self._server.server_address[1])
            self._server.start()
        return self

    def stop(self) -> None:
        """Ends open connections too."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def answering(self) -> list[str]:
        """The targets of requests whose answers have not ended."""
        return list(self._server.answering) if self._server else []

    def restart(self) -> None:
        """Every web session is forgotten, as with the memory provider; nothing else is."""
        self.sessions.forget()

    def __enter__(self) -> Double:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def requests_by_session(self) -> list[Recorded]:
        """Those made with a signed-in web session, and attempts to sign in."""
        return [
            seen
            for seen in list(self.requests)
            if seen.principal.startswith("session:") or (seen.method == "POST" and seen.path.endswith("/user/login"))
        ]

    def forget_requests(self) -> None:
        self.requests.clear()

    # --- WSGI ---

    def answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """The WSGI application."""
        raw, query = environ["RAW_PATH"], environ["QUERY_STRING"]
        ctx = self._context(environ)
        path = raw.removeprefix(ctx.sub) if raw.startswith(f"{ctx.sub}/") else raw
        environ["double.path"], environ["double.context"] = path, ctx
        environ["PATH_INFO"] = unquote(path).encode().decode("latin-1")
        label = ctx.principal.label
        seen = Recorded(environ["REQUEST_METHOD"], raw, query, environ["raw.headers"], label)
        self.requests.append(seen)

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            seen.status = int(status.split(" ", 1)[0])
            return start(status, headers)

        asked = f"{seen.method} {raw}" + (f"?{query}" if query else "")
        fault = faults.take(self.faults, asked)
        if fault is not None:
            return faults.answer(fault, self._flask.wsgi_app, environ, started)
        return self._flask.wsgi_app(environ, started)

    def _context(self, environ: dict[str, Any]) -> Context:
        """With the principal: the session's on pages, that of the credentials in the API."""
        headers = {name.lower(): value for name, value in environ["raw.headers"].items()}
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        principal = credentials(self.world, headers, query)
        ctx = Context(self.world, self.settings, self.sessions, self.root, principal)
        if environ["RAW_PATH"].removeprefix(ctx.sub).startswith("/api/"):
            return ctx
        cookies = dict(part.strip().partition("=")[::2] for part in environ.get("HTTP_COOKIE", "").split(";"))
        ctx.session_key = cookies.get(self.world.version.session_cookie, "")
        ctx.session = self.sessions.find(ctx.session_key)
        if ctx.user:
            ctx.principal = Principal(f"session:{ctx.user.name}", ctx.user)
        return ctx


class _AnyPath(PathConverter):
    """Line ends too: Forgejo's router takes them as anything else."""

    regex = "(?s:[^/].*?)"


@functools.cache
def _application() -> Flask:
    """One for all stand-ins: what differs between them comes with the request."""
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.url_map.converters["path"] = _AnyPath
    app.register_blueprint(signin.pages)
    app.register_blueprint(web.pages)
    app.register_blueprint(api.routes)
    app.register_blueprint(runner.routes)
    app.register_blueprint(git.routes)
    app.register_blueprint(description.routes)

    @app.before_request
    def before() -> Response | None:
        ctx: Context = request.environ["double.context"]
        ctx.world.lock.acquire()
        g.context = ctx
        path = request.environ["double.path"]
        if path.startswith("/api/v1/") and ctx.settings.cors and (preflight := ctx.settings.cors.preflight()):
            return preflight
        if path.startswith("/api/"):
            return Response("", 405) if request.method == "OPTIONS" else None
        if git.is_service(path):
            return None
        if ctx.session is None and ctx.version.anonymous_sessions:
            signin.begin_session(ctx, Session())
        if ctx.csrf and request.cookies.get("_csrf") != ctx.csrf:
            ctx.cookie("_csrf", ctx.csrf, "; Max-Age=86400")
        return signin.guard(ctx, path)

    @app.errorhandler(404)
    @app.errorhandler(405)
    def no_route(error: object) -> Response:
        if request.environ["double.path"].startswith("/api/"):
            return api.no_route()
        ctx: Context = g.context
        return ctx.not_found()

    @app.after_request
    def after(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "max-age=0, private, must-revalidate, no-transform")
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        cors = g.context.settings.cors
        if cors and request.environ["double.path"].startswith("/api/v1/") and "Vary" not in response.headers:
            cors.add_to(response)
        for cookie in g.context.set_cookies.values():
            response.headers.add("Set-Cookie", cookie)
        _encode(g.context, response)
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        if "context" in g:
            g.context.world.lock.release()

    return app


def _encode(ctx: Context, response: Response) -> None:
    """Compressed if the settings and the client want it; long pages come in chunks, without a length."""
    size = response.content_length or 0
    wanted = ctx.settings.gzip and "gzip" in request.headers.get("Accept-Encoding", "")
    compressed = wanted and response.status_code == 200 and size <= COMPRESSED_UP_TO
    if not (response.is_sequence or compressed):
        return
    data = response.get_data()
    if compressed and data:
        data = gzip.compress(data)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    response.set_data(data)
    if len(data) > CHUNKED_FROM:
        response.response = iter([data])
        del response.headers["Content-Length"]
