"""Which lines of a log are wanted, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from addon.actions.logs import lines
from addon.actions.query import Parameters


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which lines of a log are wanted, and how. `step` counts from 1; `failed` means all failed steps."""

    step: int | None = None
    failed: bool = False
    tail: int | None = None
    timestamps: bool = True
    ansi: bool = True

    @classmethod
    def of(cls, query: Parameters) -> LogOptions:
        """The options of a request."""
        return cls(query.step, query.failed_steps, query.tail, query.timestamps, query.ansi)

    @property
    def whole(self) -> bool:
        """Whether the log is wanted unchanged."""
        return self == LogOptions()

    @property
    def by_step(self) -> bool:
        """Whether only some steps are wanted."""
        return self.step is not None or self.failed

    def applied(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The lines without times and control sequences, if they are not wanted."""
        if not self.timestamps:
            blocks = lines.without_timestamps(blocks)
        if not self.ansi:
            blocks = lines.without_escapes(blocks)
        return iter(blocks)
