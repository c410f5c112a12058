"""Limits on how much is done at once: a limiter has slots, a request waits a bounded time for one, then gets a 503.

One caller has at most a part of a limiter's slots, and all anonymous callers together have a part. So nobody keeps the
others out, neither with many requests nor with slots that are held for long, such as a log that is read slowly.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType

from addon import trace
from addon.errors import Busy

# Seconds that a request waits at most for each slot.
PATIENCE = 5.0
RETRY_AFTER = 5
# The largest body of an extension request, in bytes.
MOST_BODY = 65536
# How many requests of one share may wait for a slot. Each waits in a thread of the server.
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
    """Lets so many of `what` happen at once; `what` completes "too many …" in the message of a 503.

    A request takes a slot only within the shares that it belongs to. One that has to wait gets the first slot that is
    free for its shares, so who asks for much waits behind itself. The application's own threads have no shares.
    """

    def __init__(self, what: str, slots: int, patience: float = PATIENCE, most_waiting: int = MOST_WAITING) -> None:
        """`patience` is how many seconds `acquire` waits, `most_waiting` how many requests of one share may wait."""
        self._what, self._slots, self._patience, self._most_waiting = what, slots, patience, most_waiting
        self._lock = threading.Lock()
        self._free = slots
        self._held, self._waiting = Counter[str](), Counter[str]()
        self._queue: list[_Waiter] = []
        self._returned = deque[_Waiter]()

    def acquire(self) -> Slot:
        """Waits for a free slot. Raises Busy, at once if too many requests of the same share wait already."""
        waiter = _Waiter({share.key: max(1, self._slots // share.divisor) for share in trace.current().shares})
        with self._exclusive():
            if self._is_free(waiter):  # then nobody who waits could have it: a slot is handed on when it is released
                self._take(waiter)
            elif any(self._waiting[key] >= self._most_waiting for key in waiter.most):
                raise self._busy()
            else:
                self._queue.append(waiter)
                self._waiting.update(waiter.most.keys())
        if not waiter.granted.wait(self._patience):
            self._give_up(waiter)
        return Slot(lambda: self._give_back(waiter))

    def _give_up(self, waiter: _Waiter) -> None:
        """Raises Busy, unless a slot was granted at the last moment."""
        with self._exclusive():
            if not waiter.granted.is_set():
                self._queue.remove(waiter)
                self._waiting -= Counter(waiter.most.keys())
                raise self._busy()

    def _busy(self) -> Busy:
        whose = " for one caller" if self._free else ""
        return Busy(f"too many {self._what} at once{whose}; try again later", RETRY_AFTER)

    def _is_free(self, waiter: _Waiter) -> bool:
        return self._free > 0 and all(self._held[key] < limit for key, limit in waiter.most.items())

    def _take(self, waiter: _Waiter) -> None:
        self._free -= 1
        self._held.update(waiter.most.keys())
        waiter.granted.set()

    def _give_back(self, waiter: _Waiter) -> None:
        """Never waits for the lock: the garbage collector may call this in a thread that has it."""
        self._returned.append(waiter)
        self._hand_on()

    def _hand_on(self) -> None:
        """Gives returned slots to those who wait, unless the lock's owner will do it."""
        while self._returned and self._lock.acquire(blocking=False):
            try:
                while self._returned:
                    self._free += 1
                    self._held -= Counter(self._returned.popleft().most.keys())  # drops what nobody holds any more
                    if (following := next(filter(self._is_free, self._queue), None)) is not None:
                        self._queue.remove(following)
                        self._waiting -= Counter(following.most.keys())
                        self._take(following)
            finally:
                self._lock.release()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        finally:
            self._hand_on()


@dataclass(eq=False, slots=True)
class _Waiter:
    """A request's claim to a slot: the most that each of its shares may hold, and whether it has been granted."""

    most: Mapping[str, int]
    granted: threading.Event = field(default_factory=threading.Event)
