"""The Forgejo behind the proxy: its version, and whether its API lists runs. Both are checked again after an upgrade.

The proxy has to know both: a route that this version has itself passes through, as the list of runs does since v12.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from addon.errors import ApiError
from addon.forgejo import versions
from addon.forgejo.parsers.values import shown_version
from addon.forgejo.transport import Transport

# Seconds between two checks.
CHECK_EVERY = 60.0
# A path of the API on every version.
VERSION_PATH = "/api/v1/version"
# A page that every client may see.
SIGN_IN_PAGE = "/user/login"
ORIGIN, METHOD, HEADERS = "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"
# The headers that allow a page of another origin to read a response.
READING = ("access-control-allow-origin", "access-control-allow-credentials")


class Upstream:
    """What is known of one Forgejo. None is unknown."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._notify: Callable[[], None] = lambda: None
        self.version: str | None = None
        self.lists_runs: bool | None = None

    @property
    def major(self) -> int | None:
        """The major version."""
        return versions.major(self.version)

    @property
    def known(self) -> Mapping[str, object]:
        """What the proxy has to know."""
        routes_major = versions.routes_major(self.version)
        return {"major": self.major, "routes_major": routes_major, "lists_runs": self.lists_runs}

    @property
    def newest_first(self) -> bool:
        """Whether the API is known to list the newest run first."""
        return versions.has("newest_first", self.major) is True

    @property
    def lists_jobs(self) -> bool:
        """Whether the API is known to list a run's jobs."""
        return versions.has_route("runs/{id}/jobs", versions.routes_major(self.version)) is True

    def has_route(self, route: str) -> bool | None:
        """Whether this Forgejo has a route of NATIVE_ROUTES; None if that is uncertain, as in a development version."""
        surely = versions.has_route(route, versions.routes_major(self.version))
        return surely or (None if versions.has_route(route, self.major) else surely)

    def has_run_route(self, action: str) -> bool | None:
        """Whether this Forgejo has a route of its own for an action on a run; None if that is uncertain."""
        return self.has_route(versions.run_route(action))

    def check(self) -> None:
        """Asks for the version. With REQUIRE_SIGNIN_VIEW, the API is closed to strangers; the sign-in page is not."""
        before = self.major
        try:
            self.version = reported_version(self._transport) or self._shown_version()
        except ApiError:
            return
        if (lists_runs := versions.has("run_ids", self.major)) is not None:
            self.set_lists_runs(lists_runs)
        if self.major != before:
            self._notify()

    def _shown_version(self) -> str | None:
        return shown_version(self._transport.request("GET", SIGN_IN_PAGE).text)

    def set_lists_runs(self, lists_runs: bool) -> None:
        """Notes what a response of Forgejo has shown."""
        if lists_runs != self.lists_runs:
            self.lists_runs = lists_runs
            self._notify()

    def keep_checking(self, notify: Callable[[], None]) -> None:
        """Checks regularly, in a daemon thread. `notify` is called whenever `major` or `lists_runs` changes."""
        self._notify = notify
        threading.Thread(target=self._check_forever, name="upstream", daemon=True).start()

    def _check_forever(self) -> None:
        while True:
            time.sleep(CHECK_EVERY)
            self.check()


class Cors:
    """Cross-origin requests of browsers: Forgejo decides about the extension's paths as about its own API.

    With `[cors] ENABLED`, Forgejo answers a preflight for any path of its API alike, before it looks for a route or for
    credentials. So a preflight for one path also tells what a response to another one needs.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def preflight(self, headers: Mapping[str, str]) -> Mapping[str, str] | None:
        """The headers of the response to a preflight with these headers; None if Forgejo answers none."""
        return self._ask({name: headers[name] for name in (ORIGIN, METHOD, HEADERS) if name in headers})

    def reading(self, origin: str, method: str) -> Mapping[str, str]:
        """The headers of any other response to this origin; empty if Forgejo adds none."""
        found = self._ask({ORIGIN: origin, METHOD: method})
        if found is None:
            return {}
        return {"vary": ORIGIN} | {name: found[name] for name in READING if name in found}

    def _ask(self, headers: Mapping[str, str]) -> Mapping[str, str] | None:
        try:
            answer = self._transport.request("OPTIONS", VERSION_PATH, headers)
        except ApiError:
            return None
        if answer.status not in (200, 204) or ORIGIN.lower() not in answer.headers.get("vary", "").lower():
            return None
        return {
            name: value
            for name, value in answer.headers.items()
            if name == "vary" or name.startswith("access-control-allow-") or name == "access-control-max-age"
        }


def reported_version(
    transport: Transport, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> str | None:
    """The version that Forgejo reports to these credentials; None if it doesn't. Raises ApiError."""
    answer = transport.request("GET", VERSION_PATH, headers=headers, query=query).json()
    version = answer.get("version") if isinstance(answer, dict) else None
    return version if isinstance(version, str) else None
