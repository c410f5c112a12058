"""The events of a followed log: lines, states, notes, and the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from addon.model import Status


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a job's log: attempt and task, byte, and the line's number from 0, None if it is unknown."""

    attempt: int = 0
    task: str = ""
    byte: int = 0
    line: int | None = 0

    def advanced(self, block: bytes) -> Cursor:
        """The position behind a block of lines."""
        line = None if self.line is None else self.line + block.count(b"\n")
        return replace(self, byte=self.byte + len(block), line=line)


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a log, and the position of the first one."""

    data: bytes
    start: Cursor


@dataclass(frozen=True, slots=True)
class StepChanged:
    """A step has a new state."""

    number: int
    name: str
    status: Status


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The job has a new state."""

    status: Status


@dataclass(frozen=True, slots=True)
class Note:
    """A message to the reader, for example that Forgejo does not answer at the moment."""

    text: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """There is nothing new."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a job's or a run's stream.

    `reason` is done, step, rerun, expired, missing, incomplete, access or stopping.
    """

    reason: str
    status: Status
    text: str = ""


Event = Lines | StepChanged | StatusChanged | Note | Heartbeat | End
