"""The Forgejo behind the proxy: its version, and whether its API lists runs. Both are checked again after an upgrade.

The proxy has to know both: a route that this version has itself passes through, as the list of runs does since v12.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from addon.errors import ApiError
from addon.forgejo import versions
from addon.forgejo.transport import Transport

# Seconds between two checks.
CHECK_EVERY = 60.0


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
        return {"major": self.major, "lists_runs": self.lists_runs}

    @property
    def newest_first(self) -> bool:
        """Whether the API is known to list the newest run first."""
        return versions.has("newest_first", self.major) is True

    @property
    def lists_jobs(self) -> bool:
        """Whether the API is known to list a run's jobs."""
        return versions.has_route("runs/{id}/jobs", self.major) is True

    def has_run_route(self, action: str) -> bool | None:
        """Whether this Forgejo has a route of its own for an action on a run; None if the version is unknown."""
        return versions.has_route(versions.run_route(action), self.major)

    def check(self) -> None:
        """Asks for the version. It stays unknown if Forgejo hides it from anonymous clients (REQUIRE_SIGNIN_VIEW)."""
        before = self.major
        try:
            self.version = reported_version(self._transport)
        except ApiError:
            return
        if (lists_runs := versions.has("run_ids", self.major)) is not None:
            self.set_lists_runs(lists_runs)
        if self.major != before:
            self._notify()

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


def reported_version(
    transport: Transport, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> str | None:
    """The version that Forgejo reports to these credentials; None if it doesn't. Raises ApiError."""
    answer = transport.request("GET", "/api/v1/version", headers=headers, query=query).json()
    version = answer.get("version") if isinstance(answer, dict) else None
    return version if isinstance(version, str) else None
