"""The mitmproxy addon: extension paths go to the application, everything else to Forgejo, streamed.

mitmproxy lets a request through to the server when a hook raises. So an extension request is given an error answer
first, which is taken away again only when it has been readdressed; and `mitm.yaml` blocks our paths should the addon
be gone.
"""

from __future__ import annotations

import asyncio
import json
import sys

from mitmproxy import ctx, exceptions, http
from mitmproxy.addonmanager import Loader

from addon import __version__, routes, settings
from addon.supervisor import Supervisor

SECRET_HEADER = "X-Actions-Secret"
# mitmweb shows it, and the net in mitm.yaml lets through only what is marked. A client can't set it.
MARK = ":rocket:"
PASSED_MARK = ":arrow_right:"
DRAIN_SECONDS = 5.0
# How long a request waits for an application that is being started.
START_SECONDS = 5.0
PAUSE = 0.05


class ActionsExtension:
    """Hooks in the order in which mitmproxy calls them."""

    def __init__(self) -> None:
        self._supervisor: Supervisor | None = None
        self._settings: settings.Settings | None = None
        self._in_flight: set[str] = set()

    def load(self, loader: Loader) -> None:
        """Declares the options, all as text."""
        for name, (default, text) in settings.OPTIONS.items():
            loader.add_option(name, str, default, text)

    def configure(self, updated: set[str]) -> None:
        """Checks the options; a wrong one stops the start with one line."""
        if message := settings.unknown(ctx.options.deferred):
            raise exceptions.OptionsError(message)  # type: ignore[no-untyped-call]
        try:
            own = {name: getattr(ctx.options, name) for name in settings.OPTIONS}
            self._settings = settings.parse(ctx.options.mode, own)
        except ValueError as error:
            raise exceptions.OptionsError(str(error)) from None  # type: ignore[no-untyped-call]

    async def running(self) -> None:
        """Starts the application, and says where everything is."""
        assert self._settings is not None  # noqa: S101  # configure has run
        self._supervisor = Supervisor(self._settings)
        await self._supervisor.start()
        server = ctx.master.addons.get("proxyserver")  # type: ignore[no-untyped-call]
        where = ", ".join(f"http://{host}:{port}" for host, port, *_ in server.listen_addrs())
        line = f"actions extension {__version__}: listening on {where}, Forgejo is {self._settings.upstream}"
        print(line, file=sys.stderr, flush=True)
        if web := getattr(ctx.master, "web_url", None):  # mitmweb logs it below the verbosity of mitm.yaml
            print(f"mitmweb: {web}", file=sys.stderr, flush=True)

    async def done(self) -> None:
        """Lets requests in flight finish, within a limit, and ends the application."""
        for _ in range(int(DRAIN_SECONDS / PAUSE)):
            if not self._in_flight:
                break
            await asyncio.sleep(PAUSE)
        if self._supervisor is not None:
            await self._supervisor.stop()

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Readdresses an extension request; streams the body of any other."""
        if flow.response or flow.error or not flow.live:
            return
        collisions = self._settings.collisions if self._settings else "extension"
        if routes.is_ours(flow.request.path, collisions):
            flow.response = _unavailable(flow.request.method)
            if await self._readdress(flow):
                flow.response = None
                flow.request.stream = True
            return
        if routes.is_ours(flow.request.path):
            flow.marked = PASSED_MARK
        flow.request.stream = True

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Streams every answer. The secret is taken out of what mitmweb shows and saves."""
        if flow.response is not None:
            flow.response.stream = True
        flow.request.headers.pop(SECRET_HEADER, None)

    def response(self, flow: http.HTTPFlow) -> None:
        """An answer has ended."""
        self._in_flight.discard(flow.id)

    def error(self, flow: http.HTTPFlow) -> None:
        """A request has failed, or its client has left."""
        self._in_flight.discard(flow.id)
        flow.request.headers.pop(SECRET_HEADER, None)

    async def _readdress(self, flow: http.HTTPFlow) -> bool:
        """Sends the request to the application, with its target and Host as they came. False if there is none."""
        address = await self._application()
        if self._supervisor is None or address is None:
            return False
        request = flow.request
        host = request.headers.get_all("Host")
        request.scheme, request.host, request.port = "http", *address
        request.headers.set_all("Host", host[:1] or [f"{address[0]}:{address[1]}"])
        request.headers[SECRET_HEADER] = self._supervisor.secret
        flow.marked = MARK
        flow.comment = "answered by the Actions extension"
        self._in_flight.add(flow.id)
        return True

    async def _application(self) -> tuple[str, int] | None:
        """Where the application listens; waits a little for one that is being started."""
        for _ in range(int(START_SECONDS / PAUSE)):
            if self._supervisor is not None and self._supervisor.address is not None:
                return self._supervisor.address
            await asyncio.sleep(PAUSE)
        return None


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
