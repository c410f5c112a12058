"""The health check: Forgejo answers, and the administrator's session works.

Anybody may ask. So the check is made at most every few seconds, by one request for all, and the response is only yes
or no. The reason for a no is in the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from addon.errors import ApiError
from addon.limits import PATIENCE

log = logging.getLogger("addon")

# For how many seconds a result is valid.
VALID_FOR = 5.0


class Health:
    """The last result, and when it expires."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises ApiError if something is wrong."""
        self._check = check
        self._checking = threading.Lock()
        self._healthy: bool | None = None
        self._valid_until = 0.0

    def is_healthy(self) -> bool:
        """Whether all is well, by a check that is a few seconds old at most."""
        if time.monotonic() >= self._valid_until:
            # All requests wait for the first result. Later, nobody waits for another request's check.
            if not self._checking.acquire(timeout=PATIENCE if self._healthy is None else 0):
                return self._healthy or False
            try:
                if time.monotonic() >= self._valid_until:
                    self._renew()
            finally:
                self._checking.release()
        return self._healthy or False

    def _renew(self) -> None:
        before = self._healthy
        try:
            self._check()
            self._healthy = True
        except ApiError as error:
            self._healthy = False
            if before is not False:
                log.error("health: %s", error.message)
        if self._healthy and before is False:
            log.warning("health: fine again")
        self._valid_until = time.monotonic() + VALID_FOR
