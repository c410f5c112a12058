"""Slows down the parsing of logs while there are other requests.

Python runs one thread at a time. A request that parses a large log, which can be made to be expensive, would make each
other request wait for it many times. So meanwhile, the requests of one share together get a part of the processor time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

from addon import trace
from addon.inherited.other_traffic import OtherTraffic

# So many seconds of processor time may be used at once.
SLICE = 0.002


class CpuQuota:
    """The processor time that each share has used. The application's own threads have no shares, and no quota."""

    def __init__(self, others: OtherTraffic) -> None:
        self._others = others
        self._lock = threading.Lock()
        self._free_at: dict[str, float] = {}

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
                    time.sleep(self._pause(begun, used))
                begun, used_before = time.monotonic(), time.thread_time()

    def _pause(self, begun: float, used: float) -> float:
        """Seconds until the shares of the present request are free, after `used` seconds since `begun`."""
        with self._lock:
            now = time.monotonic()
            self._free_at = {key: at for key, at in self._free_at.items() if at > now}
            for share in (shares := trace.current().shares):  # of each `divisor` seconds, one is for the share
                self._free_at[share.key] = max(self._free_at.get(share.key, begun), begun) + used * share.divisor
            return max([0.0, *(self._free_at[share.key] - now for share in shares)])
