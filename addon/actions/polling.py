"""One look at Forgejo for all who watch the same thing: a poller per key, alive while somebody watches.

It looks again soon while things change and ever more seldom while they don't. What fails is told to the watchers, who
decide whether to go on; the poller does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from addon.errors import ApiError, InternalError, unexpected

# Seconds between two looks, at least and at most.
FAST, SLOW = 0.4, 2.0
GROWTH = 1.25


@dataclass(frozen=True, slots=True)
class Sight[T]:
    """What was seen last. `number` counts changes; `error` is why the newest look failed, if it did."""

    number: int
    value: T | None = None
    error: ApiError | None = None


class Watch[T]:
    """A watcher's view of a poller."""

    def __init__(self, poller: _Poller[T]) -> None:
        self._poller = poller

    def after(self, number: int, seconds: float) -> Sight[T]:
        """The newest sight; waits at most so long for one later than `number`."""
        return self._poller.after(number, seconds)


class Pollers[T]:
    """All pollers of one kind, by key."""

    def __init__(self, name: str, fast: float = FAST, slow: float = SLOW) -> None:
        """`name` is that of the threads; `fast` and `slow` are seconds between two looks, at least and at most."""
        self._name = name
        self._pauses = (fast, slow)
        self._lock = threading.Lock()
        self._pollers: dict[Hashable, _Poller[T]] = {}

    @contextmanager
    def watch(self, key: Hashable, look: Callable[[T | None], T]) -> Iterator[Watch[T]]:
        """A watch on `key`. The first watcher's `look` gets the value before and gives the present one."""
        with self._lock:
            poller = self._pollers.get(key)
            if poller is None:
                poller = self._pollers[key] = _Poller(look, *self._pauses)
                threading.Thread(target=poller.run, name=self._name, daemon=True).start()
            poller.watchers += 1
        try:
            yield Watch(poller)
        finally:
            with self._lock:
                poller.watchers -= 1
                if not poller.watchers:
                    del self._pollers[key]
                    poller.stop()


class _Poller[T]:
    def __init__(self, look: Callable[[T | None], T], fast: float, slow: float) -> None:
        self.watchers = 0
        self._look = look
        self._fast, self._slow = fast, slow
        self._changed = threading.Condition()
        self._sight: Sight[T] = Sight(0)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Looks until nobody watches any more."""
        pause = 0.0
        while not self._stopped.wait(pause):
            pause = self._fast if self._saw() else min(pause * GROWTH, self._slow)

    def stop(self) -> None:
        """Ends the thread after the look that is under way."""
        self._stopped.set()

    def after(self, number: int, seconds: float) -> Sight[T]:
        with self._changed:
            self._changed.wait_for(lambda: self._sight.number > number, seconds)
            return self._sight

    def _saw(self) -> bool:
        """One look; whether it showed anything new."""
        before = self._sight
        try:
            value = self._look(before.value)
        except ApiError as error:
            sight = Sight(before.number + 1, before.value, error)
        except Exception as error:  # a poller that died in silence would be waited for without end
            unexpected(error)
            sight = Sight(before.number + 1, before.value, InternalError())
        else:
            if before.error is None and before.number and value == before.value:
                return False
            sight = Sight(before.number + 1, value)
        with self._changed:
            self._sight = sight
            self._changed.notify_all()
        return sight.error is None
