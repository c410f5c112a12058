"""Asks Forgejo again, from time to time, whether a caller may still read: what takes long must not outlive access."""

from __future__ import annotations

import time
from collections.abc import Callable


class Recheck:
    """The check of one request that takes long."""

    def __init__(self, check: Callable[[], object], seconds: float) -> None:
        """`check` raises Forgejo's refusal. It has just been made."""
        self._check, self._seconds = check, seconds
        self._checked_at = time.monotonic()

    def if_due(self) -> None:
        """Checks if the last check was that many seconds ago. Raises what it raises."""
        if time.monotonic() - self._checked_at >= self._seconds:
            self._check()
            self._checked_at = time.monotonic()
