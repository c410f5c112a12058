"""Runs, jobs, steps, attempts and artifacts, the same for every Forgejo version.

`None` is what a version does not show. Times are aware datetimes in UTC; durations are seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """A state by Forgejo's own names, which its pages and its API share."""

    UNKNOWN = "unknown"
    WAITING = "waiting"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    BLOCKED = "blocked"

    @property
    def done(self) -> bool:
        """Whether this state is final."""
        return self in (Status.SUCCESS, Status.FAILURE, Status.CANCELLED, Status.SKIPPED)


def is_name(text: str) -> bool:
    """Whether Forgejo allows this name for an account or a repository. A path's dots can't be one."""
    return re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", text) is not None and text not in (".", "..")


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository by validated names (see `is_name`), which need no quoting in a URL."""

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    def same_as(self, owner: str, name: str) -> bool:
        """Compares names as Forgejo does, without regard to case."""
        return (self.owner.lower(), self.name.lower()) == (owner.lower(), name.lower())


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job; `number` counts from 1 and includes "Set up job"."""

    number: int
    name: str
    status: Status
    duration_seconds: float | None
    started_at: datetime | None = None
    stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a job. `started_at` is None until a runner takes it."""

    number: int
    status: Status
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a run. `index` is its position on the run's page, from 0; since v14 it may change, and `id` doesn't.

    `attempt`, `needs` and `runs_on` are known where Forgejo's API tells them (v16).
    """

    index: int
    id: int
    name: str
    status: Status
    duration_seconds: float | None
    can_rerun: bool
    attempt: int | None = None
    needs: tuple[str, ...] | None = None
    runs_on: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class LineRange:
    """`count` lines of a log from the one of number `first`, counted from 0."""

    first: int
    count: int

    def last(self, lines: int) -> LineRange:
        """The last `lines` lines of it."""
        kept = min(lines, self.count)
        return LineRange(self.first + self.count - kept, kept)


@dataclass(frozen=True, slots=True)
class JobDetail:
    """What only the job's own page shows. `attempts` is None before v13.

    `step_ranges` are the lines of each step in the job's log; None for a step without lines or an unknown place.
    """

    index: int
    name: str
    steps: tuple[Step, ...]
    attempt: int | None
    attempts: tuple[Attempt, ...] | None
    step_ranges: tuple[LineRange | None, ...] | None = None

    @property
    def started(self) -> bool:
        """Whether a runner has taken the attempt that Forgejo shows. Only then does it have steps."""
        return bool(self.steps)

    @property
    def calls_workflow(self) -> bool:
        """Whether the job only calls a reusable workflow, whose jobs run: it has none but Forgejo's own two steps."""
        return len(self.steps) == 2

    @property
    def failed_steps(self) -> tuple[Step, ...]:
        """The failed steps. "Complete job", the last one, repeats the job's status: it counts only if it is alone."""
        if self.calls_workflow:
            return ()
        failed = tuple(step for step in self.steps if step.status is Status.FAILURE)
        return tuple(step for step in failed if step.number < len(self.steps)) or failed


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact of a run; `size` in bytes; `status` is Forgejo's: completed or expired."""

    name: str
    size: int
    status: str

    @property
    def expired(self) -> bool:
        """Whether Forgejo has deleted the uploaded file."""
        return self.status == "expired"


@dataclass(frozen=True, slots=True)
class WorkflowError:
    """Why Forgejo could not start a run, or not all of it; `file` and `line` say where, as far as the text does."""

    message: str
    file: str
    line: int | None = None

    @property
    def place(self) -> str:
        """File and line, as `ci.yml:3`."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Fields that only Forgejo's REST API has. They are requested with the caller's credentials."""

    id: int | None = None
    event: str | None = None
    actor: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its page shows it, with one of its jobs in detail."""

    repo: Repo
    number: int
    id: int | None
    sub_path: str
    title: str
    status: Status
    finished: bool
    workflow_id: str
    head_branch: str | None
    head_sha: str | None
    actor: str | None
    can_rerun: bool
    can_cancel: bool
    jobs: tuple[Job, ...]
    detail: JobDetail
    artifacts: tuple[Artifact, ...] | None = None
    details: RunDetails = field(default_factory=RunDetails)
    rerun_deletes_artifacts: bool = False
    workflow_error: WorkflowError | None = None
    workflow_warnings: tuple[str, ...] | None = None

    def job(self, job_id: int) -> Job | None:
        """The job with this id; None if Forgejo has replaced it."""
        return next((job for job in self.jobs if job.id == job_id), None)

    @property
    def estimated_outcome(self) -> Status | None:
        """How the run ends, as far as its jobs tell already: one failed or cancelled job is enough. Else None."""
        if self.done:
            return self.status
        states = {job.status for job in self.jobs}
        return next((status for status in (Status.CANCELLED, Status.FAILURE) if status in states), None)

    @property
    def detail_status(self) -> Status:
        """The state of the attempt that is shown in detail. The job's own state is that of its newest attempt."""
        shown = self.shown_attempt
        return shown.status if shown else self.jobs[self.detail.index].status

    @property
    def shown_attempt(self) -> Attempt | None:
        """The attempt that is shown in detail; None before v13, which does not number attempts."""
        return next((each for each in self.detail.attempts or () if each.number == self.detail.attempt), None)

    @property
    def failed_steps(self) -> tuple[Step, ...]:
        """The failed steps of the shown job. Before v9, "Set up job" of a cancelled job has the status `failure`."""
        if self.detail_status is not Status.CANCELLED:
            return self.detail.failed_steps
        return tuple(step for step in self.detail.failed_steps if 1 < step.number < len(self.detail.steps))

    @property
    def cancellable(self) -> bool:
        """Whether a job is unfinished and the proxy's account may write.

        Before v14, `canCancel` is false as soon as the run's status is final, although jobs may still run. There, a
        finished job that can be rerun shows the right to write.
        """
        return self.can_cancel or (not self.done and any(job.can_rerun for job in self.jobs))

    @property
    def done(self) -> bool:
        """Whether the run and all its jobs are final. A run may have the status `failure` while jobs still run."""
        return self.finished and self.status.done and all(job.status.done for job in self.jobs)
