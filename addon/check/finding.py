"""The finding of a check: a line on the screen, or an object in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How good or bad a finding is. Only problems make the exit status 1."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"

    @property
    def sign(self) -> str:
        """The sign in front of the line."""
        return {"ok": "✓", "warning": "!", "problem": "✗", "skipped": "–"}[self.value]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `remedy` says what to do; it is empty if there is nothing to do."""

    name: str
    level: Level
    text: str
    remedy: str = ""

    def line(self) -> str:
        """The line for the screen."""
        return f"{self.level.sign} {self.name:<14} {self.text}" + (
            f"\n  {'':<14} → {self.remedy}" if self.remedy else ""
        )


def ok(name: str, text: str) -> Finding:
    return Finding(name, Level.OK, text)


def warning(name: str, text: str, remedy: str) -> Finding:
    return Finding(name, Level.WARNING, text, remedy)


def problem(name: str, text: str, remedy: str) -> Finding:
    return Finding(name, Level.PROBLEM, text, remedy)


def skipped(name: str, why: str) -> Finding:
    return Finding(name, Level.SKIPPED, why)
