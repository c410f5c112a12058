"""What the requests of one share together may take of something, while there are other requests.

A limiter's slots are not enough for that: one request can use much processor time, or send much.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from addon import trace
from addon.caller import Share
from addon.inherited.other_traffic import OtherTraffic

# So many seconds of processor time may be used at once.
SLICE = 0.002


class Quota:
    """Of each second, a share may take a `divisor`th."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free_at: dict[str, float] = {}

    def pause(self, shares: Sequence[Share], begun: float, taken: float) -> float:
        """Seconds until all these shares are free again, which have taken `taken` seconds since `begun`."""
        with self._lock:
            now = time.monotonic()
            self._free_at = {key: at for key, at in self._free_at.items() if at > now}
            for share in shares:
                self._free_at[share.key] = max(self._free_at.get(share.key, begun), begun) + taken * share.divisor
            return max([0.0, *(self._free_at[share.key] - now for share in shares)])


class _Slice(threading.local):
    """What this thread has used since it last paused: from when on, and the processor time at that moment."""

    begun = used_before = looked_at = 0.0

    def begin(self) -> None:
        self.begun = self.looked_at = time.monotonic()
        self.used_before = time.thread_time()


class CpuQuota:
    """Slows down the parsing of logs.

    Python runs one thread at a time. A request that parses a log, which can be made to take long, would make each other
    request wait for it many times. The application's own threads have no shares, and no quota.
    """

    def __init__(self, others: OtherTraffic) -> None:
        self._others, self._quota, self._slice = others, Quota(), _Slice()

    def throttled[T](self, items: Iterable[T]) -> Iterator[T]:
        """The items. What is done to make and to use them counts for the present request's shares.

        They may come from another throttled iterator. Another thread may go on with them.
        """
        self._slice.begin()
        for item in items:
            yield item
            self._look()

    def _look(self) -> None:
        """Pauses if this thread has used its slice."""
        mine, now = self._slice, time.monotonic()
        if now - mine.looked_at < SLICE:  # then it has not used more either
            return
        mine.looked_at = now
        if (used := time.thread_time() - mine.used_before) > SLICE:
            if self._others.is_there():
                time.sleep(self._quota.pause(trace.current().shares, mine.begun, used))
            mine.begin()
