"""The mitmproxy addon: extension paths go to the application, everything else to Forgejo, streamed.

mitmproxy lets a request through to the server when a hook raises. So an extension request is given an error answer
first, which is taken away again only when it has been readdressed; and `mitm.yaml` blocks our paths should the addon
be gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
import weakref
from dataclasses import replace

from mitmproxy import ctx, exceptions, http, tcp
from mitmproxy.addonmanager import Loader
from mitmproxy.net.http import url

from addon import __version__, settings, trace
from addon.api import journal, routes
from addon.proxy import forwarded, idle_addons, mitmweb, redact, swagger
from addon.proxy.mitmweb import ARRIVED_HEADER, SECRET_HEADER
from addon.proxy.supervisor import Supervisor

log = logging.getLogger(__name__)

# The net in mitm.yaml blocks every extension path without it. A client can't set it.
HANDLED = "actions-extension"
# How long a stop waits for requests under way.
DRAIN_SECONDS = 5.0
# How long a request waits for an application that is being started.
START_SECONDS = 5.0
PAUSE = 0.05
# Answers that another one follows. mitmproxy takes them for the whole; 101 is one.
INTERIM = frozenset({100, *range(102, 200)})
# The largest request body that is read before an answer made here.
MOST_BODY = 65536


class ActionsExtension:
    """Hooks in the order in which mitmproxy calls them."""

    def __init__(self) -> None:
        self._supervisor: Supervisor | None = None
        self._settings: settings.Settings | None = None
        self._trusted: tuple[forwarded.Network, ...] = ()
        self._frozen: frozenset[str] = frozenset()
        self._in_flight: weakref.WeakSet[http.HTTPFlow] = weakref.WeakSet()
        self._kept = mitmweb.Bound()
        self._shown = False

    def load(self, loader: Loader) -> None:
        """Declares the options, all as text."""
        for name, (default, text) in settings.OPTIONS.items():
            loader.add_option(name, str, default, text)

    def configure(self, updated: set[str]) -> None:
        """Checks the options. A wrong one stops the start, and changes nothing later."""
        try:
            parsed = self._parsed(updated)
        except ValueError as error:
            if self._supervisor is not None:
                raise exceptions.OptionsError(str(error)) from None  # type: ignore[no-untyped-call]
            # mitmproxy ends for it as well, and shows it without a traceback.
            log.error("actions extension: %s", error)
            self._settings = None
            return
        self._shown = mitmweb.wanted()
        self._settings = parsed
        self._trusted = forwarded.networks(parsed.trusted_proxies)

    def _parsed(self, updated: set[str]) -> settings.Settings:
        """The options' meaning. Raises ValueError with what to write instead, or when it is too late for a change."""
        if message := settings.unknown(ctx.options.deferred) or idle_addons.refusal(self._frozen, updated):
            raise ValueError(message)
        parsed = settings.parse(ctx.options.mode, {name: getattr(ctx.options, name) for name in settings.OPTIONS})
        before = self._settings
        # What was changed in mitmweb the application doesn't know; the number of flows doesn't concern it.
        if self._supervisor is not None and before and replace(parsed, web_flows=before.web_flows) != before:
            raise ValueError("the Actions extension's options change by a restart only, but for actions_web_flows")
        return parsed

    async def running(self) -> None:
        """Starts the application, and says where everything is."""
        if self._settings is None:
            return  # it has been said what is wrong, and mitmproxy is about to end
        self._supervisor = Supervisor(self._settings)
        await self._supervisor.start()
        if self._settings.lean and idle_addons.is_possible():
            self._frozen = idle_addons.drop()
        server = ctx.master.addons.get("proxyserver")  # type: ignore[no-untyped-call]
        where = ", ".join(f"http://{url.hostport('', *address[:2])}" for address in server.listen_addrs())
        line = f"actions extension {__version__}: listening on {where}, Forgejo is {self._settings.upstream}"
        print(line, file=sys.stderr, flush=True)
        if web := getattr(ctx.master, "web_url", None):  # mitmweb logs it below the verbosity of mitm.yaml
            print(f"mitmweb: {web}", file=sys.stderr, flush=True)

    async def done(self) -> None:
        """Listens no more, lets requests under way finish, within a limit, and ends the application."""
        ctx.options.update(server=False)  # type: ignore[no-untyped-call]
        if self._supervisor is not None:
            self._supervisor.drain()
        for _ in range(int(DRAIN_SECONDS / PAUSE)):
            if not any(flow.live for flow in self._in_flight):
                break
            await asyncio.sleep(PAUSE)
        if self._supervisor is not None:
            await self._supervisor.stop()

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Readdresses an extension request; streams the body of any other."""
        if flow.response or flow.error or not flow.live:
            return
        self._in_flight.add(flow)
        collisions = self._settings.collisions if self._settings else "extension"
        # Unknown means that it goes through: Forgejo then answers as if there were no proxy.
        lists_runs = self._supervisor is None or self._supervisor.lists_runs is not False
        if routes.is_ours(flow.request.path, collisions, lists_runs):
            await self._take(flow)
        else:
            if routes.is_ours(flow.request.path):
                flow.marked = mitmweb.PASSED_MARK
            flow.request.stream = True
            forwarded.rewrite(flow, self._trusted)
            if self._describes(flow):
                swagger.ask_whole(flow.request)
        flow.metadata[HANDLED] = "handled"

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Streams every answer. The request has been sent: what is left of it is what mitmproxy shows and saves."""
        if flow.response is not None and flow.response.status_code in INTERIM:
            _refuse_interim(flow.response)
        elif flow.response is not None:
            flow.response.stream = True
            if mitmweb.is_taken(flow):
                mitmweb.answered(flow)
            elif self._settings and self._describes(flow):
                swagger.take(flow.response, self._settings)
            elif flow.response.headers.get("Content-Type", "").startswith("text/event-stream"):
                self._in_flight.discard(flow)  # it has no end to wait for; the extension's own end when they are told
        redact.request(flow)

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        """A part of an upgraded connection, which is passed on as it is. mitmproxy would keep it for good."""
        flow.messages.clear()

    def response(self, flow: http.HTTPFlow) -> None:
        """An answer has ended."""
        self._ended(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """A request has failed, or its client has left."""
        self._ended(flow)

    def _describes(self, flow: http.HTTPFlow) -> bool:
        """Whether the answer is Forgejo's description of its API, and our routes are to be in it."""
        return self._settings is not None and self._settings.swagger and swagger.is_asked(flow.request)

    def _ended(self, flow: http.HTTPFlow) -> None:
        if flow.error and mitmweb.is_taken(flow):
            mitmweb.restore(flow)
        redact.request(flow)  # also of one that was too malformed to be sent
        redact.response(flow)
        if self._settings is not None:
            self._kept.finished(flow, self._settings.web_flows)

    async def _take(self, flow: http.HTTPFlow) -> None:
        """Gives the request to the application, or an error: never to Forgejo."""
        flow.response = _unavailable(flow.request.method)
        arrived = time.monotonic()
        if await self._readdress(flow):
            _drop_body(flow.request)
            flow.response = None
            return
        if _is_large(flow.request):  # mitmproxy would want to stream it, and can't beside an answer: it would hang
            flow.kill()  # type: ignore[no-untyped-call]
        self._tell_refusal(flow.request, (time.monotonic() - arrived) * 1000)

    async def _readdress(self, flow: http.HTTPFlow) -> bool:
        """Sends the request to the application, with its target and Host as they came. False if there is none."""
        address = await self._application()
        if self._supervisor is None or address is None:
            return False
        forwarded.rewrite(flow, self._trusted)
        request = flow.request
        host = request.headers.get_all("Host")
        request.scheme, request.host, request.port = "http", *address
        request.headers.set_all("Host", host[:1] or [f"{address[0]}:{address[1]}"])
        request.headers[SECRET_HEADER] = self._supervisor.secret
        request.headers[ARRIVED_HEADER] = repr(time.monotonic())
        mitmweb.begin(flow, self._shown)
        return True

    def _tell_refusal(self, request: http.Request, milliseconds: float) -> None:
        """The line in the log of a request that never came to the application, which writes the others."""
        mode = self._settings.log if self._settings else "text"
        if mode != "off":
            entry = journal.Entry(request.method, request.path, 503, milliseconds, 0, True, trace.Trace())
            print(entry.as_json() if mode == "json" else entry.text(), file=sys.stderr, flush=True)

    async def _application(self) -> tuple[str, int] | None:
        """Where the application listens; waits a little for one that is being started."""
        for _ in range(int(START_SECONDS / PAUSE)):
            if self._supervisor is not None and self._supervisor.address is not None:
                return self._supervisor.address
            await asyncio.sleep(PAUSE)
        return None


def _drop_body(request: http.Request) -> None:
    """No route takes a body. It is thrown away as it comes, so that nobody can fill memory or disk with one.

    The application gets a chunked body with nothing in it, which ends when the client's ends: mitmproxy would leave
    a connection hanging on which the answer came first.
    """
    if "Transfer-Encoding" in request.headers or request.headers.get("Content-Length", "0") != "0":
        request.headers.pop("Content-Length", None)
        request.headers["Transfer-Encoding"] = "chunked"
    request.stream = lambda _: []


def _refuse_interim(response: http.Response) -> None:
    """Makes it a 502 that ends both connections. The client would wait for ever; and, if either connection were used
    again, what follows would be taken for the answer to its next request. Both sides hold this very object.
    """
    log.warning("actions extension: Forgejo sent a %d, which mitmproxy can't pass on: 502", response.status_code)
    response.status_code, response.reason = 502, "Bad Gateway"
    response.headers.fields = ((b"Content-Length", b"0"), (b"Connection", b"close"))


def _is_large(request: http.Request) -> bool:
    length = request.headers.get("Content-Length", "0")
    return "Transfer-Encoding" in request.headers or not length.isdecimal() or int(length) > MOST_BODY


def _unavailable(method: str) -> http.Response:
    """The answer while there is no application. A HEAD's must have no body: mitmproxy would send it."""
    body = json.dumps({"message": "the Actions extension is starting; try again"}).encode() + b"\n"
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Retry-After": "1",
        "Cache-Control": "no-store",
        "X-Actions-Extension": __version__,
    }
    response = http.Response.make(503, b"" if method == "HEAD" else body, headers)
    response.headers["Content-Length"] = str(len(body))
    return response
