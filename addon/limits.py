"""Limits on how much is done at once: a limiter has slots, a request waits a bounded time for one, then gets a 503.

Short requests take any free slot of a Limiter. What may be held for long, such as a log that somebody reads slowly, has
a SharedLimiter: there one caller has at most a part of the slots, and all anonymous callers together have a part.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType

from addon import trace
from addon.errors import Busy

# Seconds that a request waits at most for each slot.
PATIENCE = 5.0
RETRY_AFTER = 5
# The largest body of an extension request, in bytes.
MOST_BODY = 65536
# How many requests of one share may wait for a slot of a SharedLimiter. Each waits in a thread of the server.
MOST_WAITING = 16


class Slot:
    """One slot of a limiter, held until `release` or the end of a `with` block."""

    def __init__(self, give_back: Callable[[], object]) -> None:
        self._give_back: Callable[[], object] | None = give_back
        self._lock = threading.Lock()

    def release(self) -> None:
        """Gives the slot back. Further calls do nothing."""
        with self._lock:
            give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Limiter:
    """Lets so many of `what` happen at once; `what` completes "too many …" in the message of a 503."""

    def __init__(self, what: str, slots: int) -> None:
        self._what = what
        self._semaphore = threading.Semaphore(slots)

    def acquire(self) -> Slot:
        """Waits for a free slot. Raises Busy."""
        if not self._semaphore.acquire(timeout=PATIENCE):
            raise Busy(f"too many {self._what} at once; try again later", RETRY_AFTER)
        return Slot(self._semaphore.release)


class SharedLimiter:
    """The same, for slots that are held for long: a request takes one only within the shares that it belongs to.

    The shares are those of the present request. The application's own threads have none.
    """

    def __init__(self, what: str, slots: int, patience: float = PATIENCE) -> None:
        """`patience` is how many seconds `acquire` waits."""
        self._what, self._slots, self._patience = what, slots, patience
        self._changed = threading.Condition()
        self._free = slots
        self._held, self._waiting = Counter[str](), Counter[str]()

    def acquire(self) -> Slot:
        """Waits for a free slot. Raises Busy, at once if too many requests of the same share wait already."""
        most = {share.key: max(1, self._slots // share.divisor) for share in trace.current().shares}
        with self._changed:
            if not self._wait(most):
                whose = " for one caller" if self._free else ""
                raise Busy(f"too many {self._what} at once{whose}; try again later", RETRY_AFTER)
            self._free -= 1
            self._held.update(most.keys())
        return Slot(lambda: self._give_back(most))

    def _wait(self, most: Mapping[str, int]) -> bool:
        """Whether there is a slot for these shares, now or soon."""
        if self._is_free(most):
            return True
        if any(self._waiting[key] >= MOST_WAITING for key in most):
            return False
        self._waiting.update(most.keys())
        try:
            return self._changed.wait_for(lambda: self._is_free(most), self._patience)
        finally:
            self._waiting -= Counter(most.keys())

    def _is_free(self, most: Mapping[str, int]) -> bool:
        return self._free > 0 and all(self._held[key] < limit for key, limit in most.items())

    def _give_back(self, most: Mapping[str, int]) -> None:
        with self._changed:
            self._free += 1
            self._held -= Counter(most.keys())  # which drops what nobody holds any more
            self._changed.notify_all()
