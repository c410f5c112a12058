"""The use cases of jobs by id: all jobs of a run, and one job with its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from addon import trace
from addon.actions.by_id.finder import ByIdFinder, FoundJob
from addon.caller import Caller
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.native_api import NativeApi, RunIds
from addon.forgejo.web_ui import WebUi
from addon.model import Job, JobDetail, Repo, Run, Status, Step

SIDE_BY_SIDE = 4
# For a job that no runner has taken, Forgejo has no task.
WITHOUT_TASK = (Status.WAITING, Status.BLOCKED, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class TimedStep:
    """A step with its times by Forgejo's clock; None is not started, not stopped, or unknown."""

    step: Step
    started: datetime | None
    stopped: datetime | None


@dataclass(frozen=True, slots=True)
class JobById:
    """A job, as far as Forgejo tells. `attempt` is None before v13, `task_id` 0 if there is no task or no log.

    `steps` are None if they were not asked for, or if no runner has taken the job. `native` is Forgejo's own object of
    the job (v16 and later).
    """

    ids: RunIds
    job: Job
    attempt: int | None
    task_id: int
    steps: tuple[TimedStep, ...] | None = None
    native: Mapping[str, Any] | None = None


class JobsById:
    """Reads jobs by id."""

    def __init__(
        self,
        finder: ByIdFinder,
        native_api: NativeApi,
        web_ui: WebUi,
        logs: JobLogs,
        lists_jobs: Callable[[], bool],
    ) -> None:
        """`lists_jobs` tells whether Forgejo is known to have the route for the jobs of a run."""
        self._finder, self._native_api, self._web_ui, self._logs = finder, native_api, web_ui, logs
        self._lists_jobs = lists_jobs

    def list(self, caller: Caller, repo: Repo, run_id: int) -> Sequence[JobById]:
        """The run's jobs, without steps."""
        found = self._finder.run(caller, repo, run_id)
        run = found.run
        if run is None:
            return ()
        with trace.timed("forgejo"), trace.pool(SIDE_BY_SIDE) as pool:
            return tuple(pool.map(lambda job: self._listed(found.ids, run, job), run.jobs))

    def one(self, caller: Caller, repo: Repo, job_id: int) -> JobById:
        """One job. Its steps are those of the newest attempt."""
        found = self._finder.job(caller, repo, job_id)
        detail, native, task_id = found.run.detail, None, None
        if self._lists_jobs():
            with trace.timed("access"):
                native = self._native_api.jobs(found.grant, found.ids.id).get(job_id)
        with trace.timed("forgejo"):
            steps = self._steps(found) if detail.started else None
            if native is None and detail.started:
                task_id = self._logs.task_id(found.run)
        return JobById(found.ids, found.job, detail.attempt, task_id or 0, steps, native)

    def _listed(self, ids: RunIds, run: Run, job: Job) -> JobById:
        attempt = task_id = None
        if run.detail.attempts is not None:
            attempt = self._web_ui.newest_attempt(run.repo, run.number, job.index)
        if job.status not in WITHOUT_TASK:
            task_id = self._logs.task_id(_at(run, job, attempt))
        return JobById(ids, job, attempt, task_id or 0)

    def _steps(self, found: FoundJob) -> tuple[TimedStep, ...]:
        steps = found.run.detail.steps
        starts = self._web_ui.step_starts(found.run) or (None,) * len(steps)
        return tuple(TimedStep(step, start, _stop(step, start)) for step, start in zip(steps, starts, strict=True))


def _at(run: Run, job: Job, attempt: int | None) -> Run:
    """The run with a job's attempt as its detail. Only its place is known, not what its page shows."""
    return replace(run, detail=JobDetail(job.index, job.name, (), attempt, None))


def _stop(step: Step, started: datetime | None) -> datetime | None:
    """Forgejo's page shows a step's start and its duration in whole seconds."""
    if started is None or step.duration_seconds is None or not step.status.done:
        return None
    return started + timedelta(seconds=step.duration_seconds)
