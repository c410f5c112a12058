"""Limits on how much is done at once: a limiter has slots, a request waits a bounded time for one, then gets a 503.

Short requests and streams have limiters of their own, so slow readers don't keep short requests out.
"""

from __future__ import annotations

import threading
from types import TracebackType

from addon.errors import Busy

# Seconds that a request waits at most for each slot.
PATIENCE = 5.0
RETRY_AFTER = 5
# The largest body of an extension request, in bytes.
MOST_BODY = 65536


class Slot:
    """One slot of a limiter, held until `release` or the end of a `with` block."""

    def __init__(self, semaphore: threading.Semaphore) -> None:
        self._semaphore: threading.Semaphore | None = semaphore
        self._lock = threading.Lock()

    def release(self) -> None:
        """Gives the slot back. Further calls do nothing."""
        with self._lock:
            semaphore, self._semaphore = self._semaphore, None
        if semaphore is not None:
            semaphore.release()

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Limiter:
    """Lets so many of `what` happen at once; `what` completes "too many …" in the message of a 503."""

    def __init__(self, what: str, slots: int, patience: float = PATIENCE) -> None:
        """`patience` is how many seconds `acquire` waits."""
        self._what = what
        self._patience = patience
        self._semaphore = threading.Semaphore(slots)

    def acquire(self) -> Slot:
        """Waits for a free slot. Raises Busy."""
        if not self._semaphore.acquire(timeout=self._patience):
            raise Busy(f"too many {self._what} at once; try again later", RETRY_AFTER)
        return Slot(self._semaphore)
