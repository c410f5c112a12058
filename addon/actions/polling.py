"""Shared polling: one poller for all who watch the same thing, alive as long as somebody is subscribed.

The pause between two polls is short after a change and grows while nothing changes. A failed poll is passed on to the
subscribers, who decide whether to go on; the poller itself continues.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from addon.errors import ApiError, InternalError, log_unexpected

# The shortest and the longest pause between two polls, in seconds.
FAST, SLOW = 0.4, 2.0
GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class Snapshot[T]:
    """The result of the newest poll. `version` counts changes; `error` is set if the newest poll failed."""

    version: int
    value: T | None = None
    error: ApiError | None = None


class Subscription[T]:
    """A subscriber's view of a poller."""

    def __init__(self, poller: _Poller[T]) -> None:
        self._poller = poller

    def wait(self, after: int, timeout: float) -> Snapshot[T]:
        """The newest snapshot. Waits up to `timeout` seconds for one later than the version `after`."""
        return self._poller.wait(after, timeout)


class Pollers[T]:
    """All pollers of one kind, by key."""

    def __init__(self, name: str, fast: float = FAST, slow: float = SLOW) -> None:
        """`name` is the threads' name. `fast` and `slow` limit the pause between two polls, in seconds."""
        self._name = name
        self._pauses = (fast, slow)
        self._lock = threading.Lock()
        self._pollers: dict[Hashable, _Poller[T]] = {}

    @contextmanager
    def subscribe(self, key: Hashable, poll: Callable[[T | None], T]) -> Iterator[Subscription[T]]:
        """Subscribes to `key`. The first subscriber's `poll` gets the previous value and returns the present one."""
        with self._lock:
            poller = self._pollers.get(key)
            if poller is None:
                poller = self._pollers[key] = _Poller(poll, *self._pauses)
                threading.Thread(target=poller.run, name=self._name, daemon=True).start()
            poller.subscribers += 1
        try:
            yield Subscription(poller)
        finally:
            with self._lock:
                poller.subscribers -= 1
                if not poller.subscribers:
                    del self._pollers[key]
                    poller.stop()


class _Poller[T]:
    def __init__(self, poll: Callable[[T | None], T], fast: float, slow: float) -> None:
        self.subscribers = 0
        self._poll = poll
        self._fast, self._slow = fast, slow
        self._changed = threading.Condition()
        self._snapshot: Snapshot[T] = Snapshot(0)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Polls until the last subscriber has gone."""
        pause = 0.0
        while not self._stopped.wait(pause):
            pause = self._fast if self._has_changed() else min(pause * GROWTH, self._slow)

    def stop(self) -> None:
        """Ends the thread after the present poll."""
        self._stopped.set()

    def wait(self, after: int, timeout: float) -> Snapshot[T]:
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot.version > after, timeout)
            return self._snapshot

    def _has_changed(self) -> bool:
        """Polls once. Returns whether there is a new value."""
        before = self._snapshot
        try:
            value = self._poll(before.value)
        except ApiError as error:
            snapshot = Snapshot(before.version + 1, before.value, error)
        except Exception as error:  # if the poller died silently, its subscribers would wait forever
            log_unexpected(error)
            snapshot = Snapshot(before.version + 1, before.value, InternalError())
        else:
            if before.error is None and before.version and value == before.value:
                self._snapshot = replace(before, value=value)  # equal, but it may hold the time of its poll
                return False
            snapshot = Snapshot(before.version + 1, value)
        with self._changed:
            self._snapshot = snapshot
            self._changed.notify_all()
        return snapshot.error is None
