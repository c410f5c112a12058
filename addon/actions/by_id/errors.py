"""The errors of the dialect by id, in Forgejo 17's words."""

from __future__ import annotations

from addon.errors import ApiError, NotFound


class RouteAbsent(ApiError):
    """This Forgejo (before v12) tells nobody a run's id, so it has no such route."""

    status = 404

    def __init__(self) -> None:
        super().__init__("404 page not found")


class TargetMissing(NotFound):
    """The repository does not exist, or the caller may not see its Actions."""

    def __init__(self) -> None:
        super().__init__("The target couldn't be found.")


class Archived(ApiError):
    """The repository is archived."""

    status = 423


class LogFileMissing(ApiError):
    """The log's file does not exist. Forgejo hides the reason of an internal error."""

    status = 500

    def __init__(self) -> None:
        super().__init__("")


def no_run(run_id: int) -> NotFound:
    """The repository has no run with this id. It does not say whether another one has it."""
    return NotFound(f"run with id {run_id}: resource does not exist")


def no_job(job_id: int) -> NotFound:
    """The repository has no job with this id. It does not say whether another one has it."""
    return NotFound(f"run job with id {job_id}: resource does not exist")


def no_attempt(job_id: int, attempt: int) -> NotFound:
    """The job has no such attempt."""
    return NotFound(f"task with job_id {job_id} and attempt {attempt}: resource does not exist")


NOT_EXECUTED, EXPIRED = "job has not been executed yet", "logs have expired"
STEP_OUT_OF_RANGE = "step index out of range"
INVALID, DISABLED = "workflow is invalid", "workflow is disabled"
RUN_RUNNING, JOB_RUNNING = "workflow is still running", "job is still running"
