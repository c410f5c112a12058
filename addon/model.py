"""Runs, jobs, steps, attempts and artifacts, as every Forgejo version shows them.

`None` is what a version can't tell. Times are aware datetimes in UTC; durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """Forgejo's own words, which are the same on its pages and in its API."""

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
        return self in _DONE


_DONE = frozenset({Status.SUCCESS, Status.FAILURE, Status.CANCELLED, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository by validated names: ASCII letters, digits, `.`, `_`, `-`."""

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    def same_as(self, owner: str, name: str) -> bool:
        """Forgejo's names ignore case."""
        return (self.owner.lower(), self.name.lower()) == (owner.lower(), name.lower())


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job; `number` counts from 1 and includes "Set up job"."""

    number: int
    name: str
    status: Status
    duration_seconds: float | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a job; `started_at` is None before a runner took it."""

    number: int
    status: Status
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the run's page lists it; `index` is its place there, from 0."""

    index: int
    id: int
    name: str
    status: Status
    duration_seconds: float | None
    can_rerun: bool


@dataclass(frozen=True, slots=True)
class JobDetail:
    """What only the job's own page shows; `attempts` is None where a version doesn't say.

    `step_lengths` are the log's lines by step, where they were counted: the steps' lines follow one another.
    """

    index: int
    name: str
    steps: tuple[Step, ...]
    attempt: int | None
    attempts: tuple[Attempt, ...] | None
    step_lengths: tuple[int, ...] | None = None

    @property
    def started(self) -> bool:
        """Whether a runner has taken the attempt that Forgejo shows: only then has it steps."""
        return bool(self.steps)

    @property
    def failed_steps(self) -> tuple[Step, ...]:
        """What failed. "Complete job", the last step, bears the job's own status, so alone it says nothing else."""
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
        """Whether Forgejo has deleted what was uploaded."""
        return self.status == "expired"


@dataclass(frozen=True, slots=True)
class RunDetails:
    """What Forgejo's REST API tells of a run beyond its page, asked with the caller's credentials."""

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

    @property
    def cancellable(self) -> bool:
        """Whether a job goes on, and the proxy's account may write. Before v14 Forgejo takes a run for done as soon as
        its status is final; that a job which is done can be rerun tells the right there."""
        return self.can_cancel or (not self.done and any(job.can_rerun for job in self.jobs))

    @property
    def done(self) -> bool:
        """Final, and so is every job: a run may read `failure` while jobs still run."""
        return self.finished and self.status.done and all(job.status.done for job in self.jobs)
