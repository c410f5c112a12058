"""A run's status from those of its jobs, as each version tells it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.double.model import Status
from tests.double.versions import Version

FAILED_FIRST = (Status.CANCELLED, Status.FAILURE, Status.RUNNING, Status.WAITING, Status.BLOCKED)
UNFINISHED_FIRST = (Status.RUNNING, Status.WAITING, Status.BLOCKED, Status.CANCELLED, Status.FAILURE)


def run_status(version: Version, states: Sequence[Status]) -> Status:
    """From v11 to v16 one failed job is enough, though others still run."""
    if version.final_when_done:
        return _aggregate(states, UNFINISHED_FIRST)
    return _aggregate(states, FAILED_FIRST) if version.real_aggregation else _aggregate_simply(states)


def estimated_outcome(states: Sequence[Status]) -> Status:
    """The word that v16 would have said, if it is a final one; else unknown."""
    early = _aggregate(states, FAILED_FIRST)
    return early if early.done else Status.UNKNOWN


def _aggregate_simply(states: Sequence[Status]) -> Status:
    """Before v11: never cancelled, skipped or blocked."""
    if all(state.done for state in states):
        bad = Status.FAILURE in states or Status.CANCELLED in states
        return Status.FAILURE if bad else Status.SUCCESS
    unfinished = {state for state in states if not state.done}
    return Status.WAITING if unfinished == {Status.WAITING} else Status.RUNNING


def _aggregate(states: Sequence[Status], order: Sequence[Status]) -> Status:
    if all(state is Status.SKIPPED for state in states):
        return Status.SKIPPED
    if all(state in (Status.SUCCESS, Status.SKIPPED) for state in states):
        return Status.SUCCESS
    return next((state for state in order if state in states), Status.UNKNOWN)
