"""What is told of a job that is followed: its lines, its state and that of its steps, and its end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from addon.model import Status


@dataclass(frozen=True, slots=True)
class Place:
    """Where a follower is: the attempt and task, the byte, and the line's number from 0 if that is known."""

    attempt: int = 0
    task: str = ""
    byte: int = 0
    line: int | None = 0

    def behind(self, block: bytes) -> Place:
        """The place after a block of lines."""
        line = None if self.line is None else self.line + block.count(b"\n")
        return replace(self, byte=self.byte + len(block), line=line)


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a log, and the place of the first."""

    data: bytes
    start: Place


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
    """Something that a reader should know, such as that Forgejo does not answer at the moment."""

    text: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Nothing new."""


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more will come of this job. `reason` is done, step, rerun, expired, missing, access or stopping."""

    reason: str
    status: Status
    text: str = ""


Event = Lines | StepChanged | StatusChanged | Note | Beat | End
