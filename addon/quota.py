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


class CpuQuota:
    """Slows down the parsing of logs.

    Python runs one thread at a time. A request that parses a log, which can be made to take long, would make each other
    request wait for it many times. The application's own threads have no shares, and no quota.
    """

    def __init__(self, others: OtherTraffic) -> None:
        self._others, self._quota = others, Quota()

    def throttled[T](self, items: Iterable[T]) -> Iterator[T]:
        """The items. What this thread does to make and to use them counts for the present request's shares."""
        begun, used_before = time.monotonic(), time.thread_time()
        looked = begun
        for item in items:
            yield item
            if (now := time.monotonic()) - looked < SLICE:  # then it has not used more either
                continue
            looked = now
            if (used := time.thread_time() - used_before) > SLICE:
                if self._others.is_there():
                    time.sleep(self._quota.pause(trace.current().shares, begun, used))
                begun, used_before = time.monotonic(), time.thread_time()
