"""Attempts of a job: which exist, and which is the newest.

A page lists those that a runner took. Forgejo may end a newer one without a runner, as when it skips a job. It is
listed nowhere; only the job's status tells.
"""

from __future__ import annotations

from addon.errors import NotFound
from addon.model import JobDetail, Run, Status

# A job gets these states only by a runner.
BY_RUNNER = (Status.SUCCESS, Status.FAILURE, Status.RUNNING)


def newest_number(run: Run) -> int | None:
    """The number of the newest attempt of the shown job; None if the page of another attempt does not prove it."""
    newest = run.detail.attempts[-1] if run.detail.attempts else None
    status = run.jobs[run.detail.index].status
    if newest is None or newest.status is not status or status not in BY_RUNNER or run.workflow_error is not None:
        return None
    return newest.number


def shows_newest(run: Run) -> bool:
    """Whether the run is proven to show the newest attempt of its job."""
    return run.detail.attempt is not None and newest_number(run) == run.detail.attempt


def check_attempt(detail: JobDetail, attempt: int) -> None:
    """Raises NotFound if the job has no such attempt, or if the version does not number attempts."""
    if detail.attempts is None:
        raise NotFound(
            f"attempt {attempt} can't be served: this Forgejo (before v13) shows only the newest attempt and does not "
            "number it; leave attempt out, or give attempt=latest"
        )
    numbers = [each.number for each in detail.attempts]
    if attempt not in numbers and attempt < max(numbers, default=0):
        raise NotFound(
            f"attempt {attempt} of job {detail.name!r} has no log: Forgejo ended it without a runner, as when it skips "
            f"a job; attempts with a log: {', '.join(map(str, numbers))}"
        )
    if attempt not in numbers:
        known = ", ".join(map(str, numbers)) or "none yet"
        raise NotFound(f"job {detail.name!r} has no attempt {attempt}; attempts: {known}")
