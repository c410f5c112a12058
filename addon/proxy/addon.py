"""The mitmproxy addon: extension requests go to the application, everything else goes to Forgejo, streamed.

If a hook raises an exception, mitmproxy sends the request to Forgejo. So every extension request gets an error response
first, which is removed only after the request was readdressed to the application. If the addon itself is missing,
`block_list` in `mitm.yaml` blocks extension paths.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import time
import weakref
from dataclasses import replace

from mitmproxy import contentviews, ctx, exceptions, http, tcp
from mitmproxy.addonmanager import Loader
from mitmproxy.net.http import url

from addon import __version__, journal, settings, trace
from addon.api import routes
from addon.inherited import account_secrets, open_files
from addon.internal_headers import ARRIVED_HEADER, SECRET_HEADER
from addon.proxy import content_view, forwarded, idle_addons, lifetime, mitmweb, redact, request_body, swagger
from addon.proxy.supervisor import Supervisor
from addon.proxy.web_lock import WebLock

log = logging.getLogger(__name__)

# block_list in mitm.yaml blocks every extension path without this metadata. A client can't set it.
HANDLED = "actions-extension"
# How many seconds a stop waits for open requests.
DRAIN_SECONDS = 5.0
# How many seconds a request waits for the application to start.
START_SECONDS = 5.0
PAUSE = 0.05
# Interim responses, which mitmproxy takes for final ones. (101 is final.)
INTERIM = frozenset({100, *range(102, 200)})


class ActionsExtension:
    """Hooks in the order in which mitmproxy calls them."""

    def __init__(self) -> None:
        self._supervisor: Supervisor | None = None
        self._settings: settings.Settings | None = None
        self._trust = forwarded.Trust()
        self._frozen: frozenset[str] = frozenset()
        self._in_flight: weakref.WeakSet[http.HTTPFlow] = weakref.WeakSet()
        self._kept = mitmweb.FlowLimit()
        self._web_lock = WebLock()
        self._shown = False

    def load(self, loader: Loader) -> None:
        """Prepares the process. Declares the options, all of type text, and mitmweb's view of extension requests."""
        account_secrets.put_away(os.environ)
        open_files.allow_all()
        for name, (default, text) in settings.OPTIONS.items():
            loader.add_option(name, str, default, text)
        contentviews.add(content_view.ActionsContentview)

    def configure(self, updated: set[str]) -> None:
        """Checks the options. An invalid one stops the start; later, it is refused."""
        try:
            parsed = self._parsed(updated)
        except ValueError as error:
            if self._supervisor is not None:
                raise exceptions.OptionsError(str(error)) from None  # type: ignore[no-untyped-call]
            # An error in the log also ends mitmproxy at its start, without a traceback.
            log.error("actions extension: %s", error)
            self._settings = None
            return
        self._shown = mitmweb.is_shown()
        self._settings = parsed
        self._trust = forwarded.Trust.of(parsed.trusted_proxies)

    def _parsed(self, updated: set[str]) -> settings.Settings:
        """The checked options. Raises ValueError with what to write instead, or if a change needs a restart."""
        given = {name: getattr(ctx.options, name, None) for name in settings.PUBLISHED_KEYS}
        refused = settings.refused(given) or idle_addons.refusal(self._frozen, updated)
        if message := settings.unknown(ctx.options.deferred) or refused:
            raise ValueError(message)
        parsed = settings.parse(ctx.options.mode, {name: getattr(ctx.options, name) for name in settings.OPTIONS})
        before = self._settings
        # The running application would not notice a change. The number of flows is not its concern.
        if self._supervisor is not None and before and replace(parsed, web_flows=before.web_flows) != before:
            raise ValueError("the Actions extension's options change by a restart only, but for actions_web_flows")
        return parsed

    async def running(self) -> None:
        """Starts the application and prints the start lines: addresses, and what {x} is in `runs/{x}/…`."""
        if message := settings.never_declared(ctx.options.deferred):
            log.error("actions extension: %s", message)
            return
        if self._settings is None:
            return  # the error is in the log, and mitmproxy is about to end
        lifetime.watch(ctx.master.shutdown)
        self._supervisor = Supervisor(self._settings)
        await self._supervisor.start()
        if self._settings.lean and idle_addons.is_possible():
            self._frozen = idle_addons.drop()
        server = ctx.master.addons.get("proxyserver")  # type: ignore[no-untyped-call]
        where = ", ".join(f"http://{url.hostport('', *address[:2])}" for address in server.listen_addrs())
        line = f"actions extension {__version__}: listening on {where}, Forgejo is {self._settings.upstream}"
        lifetime.say(line)
        self._supervisor.say_dialect()
        if web := getattr(ctx.master, "web_url", None):  # mitmweb logs it at a level that mitm.yaml turns off
            self._web_lock.lock()
            lifetime.say(f"mitmweb: {web}")
        gc.freeze()  # otherwise every full collection looks at all modules, and stops every request for 0.1 s

    async def done(self) -> None:
        """Stops listening, waits a limited time for open requests, and ends the application."""
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
        """Readdresses an extension request. Streams the body of any other."""
        if flow.response or flow.error or not flow.live:
            return
        self._in_flight.add(flow)
        path = flow.request.path
        if routes.is_ours(path, lists_runs=False) if self._supervisor is None else self._supervisor.takes(path):
            await self._take(flow)
        else:
            if routes.is_ours(path):
                flow.marked = mitmweb.PASSED_MARK
            if self._supervisor is not None:
                self._supervisor.other_traffic.note()
            flow.request.stream = True
            forwarded.rewrite(flow, self._trust)
            if self._describes(flow):
                swagger.ask_whole(flow.request)
        flow.metadata[HANDLED] = "handled"

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Streams every response. The request has been sent, so it may be redacted now for mitmweb and saved flows."""
        if flow.response is not None and flow.response.status_code in INTERIM:
            _refuse_interim(flow.response)
        elif flow.response is not None:
            flow.response.stream = True
            if mitmweb.is_taken(flow):
                mitmweb.answered(flow)
            elif self._settings and self._describes(flow):
                swagger.take(flow.response, self._settings)
            elif flow.response.headers.get("Content-Type", "").startswith("text/event-stream"):
                self._in_flight.discard(flow)  # a stop does not wait for it; the application ends its own streams
        redact.request(flow)

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        """Forgets a part of an upgraded connection after it was passed on. mitmproxy would keep it in memory."""
        flow.messages.clear()

    def response(self, flow: http.HTTPFlow) -> None:
        """A response has ended."""
        self._ended(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """A request has failed, or its client has disconnected."""
        self._ended(flow)

    def _describes(self, flow: http.HTTPFlow) -> bool:
        """Whether the request asks for Forgejo's API description, and the extension's routes are to be added to it."""
        return self._settings is not None and self._settings.swagger and swagger.is_asked(flow.request)

    def _ended(self, flow: http.HTTPFlow) -> None:
        if flow.error and mitmweb.is_taken(flow):
            mitmweb.restore(flow)
        redact.request(flow)  # also a request that was too malformed to be sent
        redact.response(flow)
        mitmweb.ended(flow)  # last: a response with content looks as if it had not been sent
        if self._settings is not None:
            self._kept.finished(flow, self._settings.web_flows)

    async def _take(self, flow: http.HTTPFlow) -> None:
        """Sends the request to the application or answers it with an error. Forgejo never gets it."""
        flow.response = _unavailable(flow.request.method)
        arrived = time.monotonic()
        if await self._readdress(flow):
            request_body.bound(flow.request)
            flow.response = None
            return
        if request_body.is_large(
            flow.request
        ):  # mitmproxy would hang: it can't stream a body and have a response already
            flow.kill()  # type: ignore[no-untyped-call]
        self._log_refusal(flow.request, (time.monotonic() - arrived) * 1000)

    async def _readdress(self, flow: http.HTTPFlow) -> bool:
        """Readdresses the request; target and Host stay. Returns False if there is no application."""
        address = await self._application()
        if self._supervisor is None or address is None:
            return False
        forwarded.rewrite(flow, self._trust)
        request = flow.request
        host = request.headers.get_all("Host")
        request.scheme, request.host, request.port = "http", *address
        request.headers.set_all("Host", host[:1] or [f"{address[0]}:{address[1]}"])
        request.headers[SECRET_HEADER] = self._supervisor.secret
        request.headers[ARRIVED_HEADER] = repr(time.monotonic())
        mitmweb.begin(flow, self._shown)
        return True

    def _log_refusal(self, request: http.Request, milliseconds: float) -> None:
        """Logs a request that never reached the application. (The application logs the others.)"""
        mode = self._settings.log if self._settings else "text"
        if mode != "off":
            entry = journal.Entry(request.method, request.path, 503, milliseconds, 0, True, trace.Trace())
            lifetime.say(entry.as_json() if mode == "json" else entry.text())

    async def _application(self) -> tuple[str, int] | None:
        """The application's address. Waits a short time for its start."""
        for _ in range(int(START_SECONDS / PAUSE)):
            if self._supervisor is not None and self._supervisor.address is not None:
                return self._supervisor.address
            await asyncio.sleep(PAUSE)
        return None


def _refuse_interim(response: http.Response) -> None:
    """Turns an interim response into a 502 that closes both connections.

    Otherwise the client would wait forever, and the final response would be taken for that of the next request. Both
    sides use this same response object.
    """
    log.warning("actions extension: Forgejo sent a %d, which mitmproxy can't pass on: 502", response.status_code)
    response.status_code, response.reason = 502, "Bad Gateway"
    response.headers.fields = ((b"Content-Length", b"0"), (b"Connection", b"close"))


def _unavailable(method: str) -> http.Response:
    """The response while there is no application. For HEAD it has no body, because mitmproxy would send it."""
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
