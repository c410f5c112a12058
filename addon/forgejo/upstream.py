"""Which Forgejo is behind the proxy, as far as it tells, and whether its API lists runs; looked at again, for upgrades.

The proxy must know the latter: from v12 on that list is Forgejo's and goes through.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

from addon.errors import ApiError
from addon.forgejo.transport import Transport

LISTS_RUNS_SINCE, NEWEST_FIRST_SINCE = 12, 15
LOOK_EVERY = 60.0
NUMBER = re.compile(r"([0-9]{1,4})\.")


class Upstream:
    """What is known of one Forgejo: the `version` that it reports, and whether its API lists runs; None is unknown."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._tell: Callable[[bool], None] = lambda _: None
        self.version: str | None = None
        self.lists_runs: bool | None = None

    @property
    def major(self) -> int | None:
        """The major version."""
        return major(self.version)

    @property
    def newest_first(self) -> bool:
        """Whether the API's list of runs is known to be in that order."""
        return (self.major or 0) >= NEWEST_FIRST_SINCE

    def look(self) -> None:
        """Asks for the version. Where strangers aren't told (REQUIRE_SIGNIN_VIEW) it is left unknown."""
        try:
            self.version = version_told(self._transport)
        except ApiError:
            return
        if self.major is not None:
            self.learn(self.major >= LISTS_RUNS_SINCE)

    def learn(self, lists_runs: bool) -> None:
        """Takes what Forgejo's own answers showed."""
        if lists_runs != self.lists_runs:
            self.lists_runs = lists_runs
            self._tell(lists_runs)

    def keep_looking(self, tell: Callable[[bool], None]) -> None:
        """Looks again and again, in a thread that ends with the process. `tell` is called when `lists_runs` changes."""
        self._tell = tell
        threading.Thread(target=self._look_forever, name="upstream", daemon=True).start()

    def _look_forever(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            self.look()


def version_told(
    transport: Transport, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> str | None:
    """The version as Forgejo tells it to who has these credentials; None where it doesn't. Raises ApiError."""
    answer = transport.request("GET", "/api/v1/version", headers=headers, query=query).json()
    version = answer.get("version") if isinstance(answer, dict) else None
    return version if isinstance(version, str) else None


def major(version: str | None) -> int | None:
    """The major version of `15.0.3+gitea-1.22.0`."""
    found = NUMBER.match(version or "")
    return int(found[1]) if found else None
