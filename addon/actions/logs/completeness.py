"""Whether a job's log is complete.

Forgejo says `cancelled` at once. The runner learns of it seconds later, and then uploads the job's last lines.
"""

from __future__ import annotations

import time

from addon.model import Run, Status

# Seconds after its end in which a cancelled job may get lines. Clocks may differ by some of them.
MARGIN = 60.0


def is_complete(run: Run) -> bool | None:
    """Whether the log of the job that the run shows in detail is complete; None if that can't be known."""
    if not run.detail_status.done:
        return False
    if run.detail_status is not Status.CANCELLED:
        return True
    if not run.detail.started:
        return True
    age = _seconds_since_end(run)
    return None if age is None else age > MARGIN


def end_is_settled(run: Run) -> bool:
    """Whether it is certain that the job, which is done, gets no more lines."""
    return is_complete(run) is True


def _seconds_since_end(run: Run) -> float | None:
    """From the job's start and duration; None if Forgejo doesn't tell them, which is so before v13."""
    shown, took = run.shown_attempt, run.jobs[run.detail.index].duration_seconds
    if shown is None or shown.started_at is None or took is None:
        return None
    return time.time() - shown.started_at.timestamp() - took
