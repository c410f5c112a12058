"""How much is done at once: a gate has places, a bounded wait for one, and a 503 for who waited in vain.

Short requests and streams have gates of their own, so clients that read slowly, or follow for hours, keep nobody
else out. A place is freed once, however often it is told to.
"""

from __future__ import annotations

import threading
from types import TracebackType

from addon.errors import Busy

# Seconds that a request waits, at most, for each place that it needs.
PATIENCE = 5.0
RETRY_AFTER = 5


class Place:
    """One of a gate's places, until `free` or the end of a `with` block."""

    def __init__(self, gate: threading.Semaphore) -> None:
        self._gate: threading.Semaphore | None = gate
        self._lock = threading.Lock()

    def free(self) -> None:
        """Gives the place to the next; another call does nothing."""
        with self._lock:
            gate, self._gate = self._gate, None
        if gate is not None:
            gate.release()

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()


class Gate:
    """`places` for `what`, which follows "too many" in the message of a 503; `patience` is in seconds."""

    def __init__(self, what: str, places: int, patience: float = PATIENCE) -> None:
        self._what = what
        self._patience = patience
        self._free = threading.Semaphore(places)

    def take(self) -> Place:
        """A place, soon or now. Raises Busy."""
        if not self._free.acquire(timeout=self._patience):
            raise Busy(f"too many {self._what} at once; try again later", RETRY_AFTER)
        return Place(self._free)
