"""Whether the extension can work: Forgejo answers, and the administrator's session can be had.

Anybody may ask, so it is looked at seldom, by one at a time, and only yes or no is told. Why not is in the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from addon.errors import ApiError, UpstreamUnexpected
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.transport import Transport
from addon.limits import PATIENCE

log = logging.getLogger("addon")

# How long an answer holds, in seconds.
HOLDS = 5.0
PATH = "/api/healthz"


class Health:
    """The last answer, and when it is time for another."""

    def __init__(self, look: Callable[[], None]) -> None:
        """`look` raises ApiError when something is wrong."""
        self._look = look
        self._looking = threading.Lock()
        self._fine: bool | None = None
        self._until = 0.0

    def fine(self) -> bool:
        """Yes or no, at most so old as it holds, or as a look that is under way takes."""
        if time.monotonic() >= self._until:
            # Where there is no answer yet, all wait for the first; later nobody waits for another's look.
            if not self._looking.acquire(timeout=PATIENCE if self._fine is None else 0):
                return self._fine or False
            try:
                if time.monotonic() >= self._until:
                    self._renew()
            finally:
                self._looking.release()
        return self._fine or False

    def _renew(self) -> None:
        before = self._fine
        try:
            self._look()
            self._fine = True
        except ApiError as error:
            self._fine = False
            if before is not False:
                log.error("health: %s", error.message)
        if self._fine and before is False:
            log.warning("health: fine again")
        self._until = time.monotonic() + HOLDS


def look(callers: Transport, session: AdminSession) -> None:
    """One look at both. Raises ApiError."""
    if (status := callers.request("GET", PATH).status) != 200:
        raise UpstreamUnexpected(f"Forgejo answered {status} to GET {PATH}")
    session.check()
