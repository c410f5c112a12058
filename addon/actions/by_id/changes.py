"""The use cases of changes by id: cancel a run, rerun a run or one of its jobs. The refusals are Forgejo 17's."""

from __future__ import annotations

from collections.abc import Callable

from addon import trace
from addon.actions.by_id.errors import DISABLED, INVALID, JOB_RUNNING, RUN_RUNNING
from addon.actions.by_id.finder import ByIdFinder
from addon.actions.changes import changed_run, unfinished
from addon.caller import Caller
from addon.errors import BadRequest, Conflict, UpstreamUnexpected
from addon.forgejo.web_ui import WebUi
from addon.model import Job, Repo, Run


class ChangeById:
    """Cancels and reruns with the administrator's session, for callers who may write."""

    def __init__(self, finder: ByIdFinder, web_ui: WebUi) -> None:
        self._finder, self._web_ui = finder, web_ui

    def cancel(self, caller: Caller, repo: Repo, run_id: int) -> None:
        """Cancels the run's unfinished jobs. Nothing happens to a finished run, which is no error."""
        run = self._finder.run(caller, repo, run_id, to_change=True).run
        if run is None or not unfinished(run):
            return
        with trace.timed("forgejo"):
            self._web_ui.cancel(run)
            self._check(run, run.jobs[0], lambda now: not unfinished(now))

    def rerun_run(self, caller: Caller, repo: Repo, run_id: int) -> None:
        """Reruns all jobs. Before v15 Forgejo would rerun the finished jobs of an unfinished run: that is refused."""
        run = self._finder.run(caller, repo, run_id, to_change=True).run
        if run is None or run.workflow_error is not None:
            raise BadRequest(INVALID)
        if not run.done:
            raise BadRequest(RUN_RUNNING)
        with trace.timed("forgejo"):
            self._rerun(run, None, lambda now: None if now.done else RUN_RUNNING)

    def rerun_job(self, caller: Caller, repo: Repo, job_id: int) -> None:
        """Reruns a job and those that need it. Other jobs of the run may still run."""
        found = self._finder.job(caller, repo, job_id, to_change=True)
        if found.run.workflow_error is not None:
            raise BadRequest(INVALID)
        if not found.job.status.done:
            raise BadRequest(JOB_RUNNING)
        with trace.timed("forgejo"):
            self._rerun(found.run, found.job, lambda now: None if _job(now, found.job).status.done else JOB_RUNNING)

    def _rerun(self, run: Run, job: Job | None, running: Callable[[Run], str | None]) -> None:
        """Forgejo's page refuses without a reason that a program can read. Two have been excluded: one is left."""
        try:
            self._web_ui.rerun(run, job)
        except Conflict:
            now = self._web_ui.run(run.repo, run.number)
            raise BadRequest(running(now) or DISABLED) from None
        self._check(
            run, job or run.jobs[run.detail.index], lambda now: running(now) is not None or _has_more_attempts(run, now)
        )

    def _check(self, run: Run, job: Job, has_changed: Callable[[Run], bool]) -> None:
        """Before v15, a 200 of Forgejo's page proves nothing."""
        if changed_run(self._web_ui.same_job, run, job, has_changed) is None:
            raise UpstreamUnexpected("Forgejo accepted the change, but nothing has changed")


def _has_more_attempts(before: Run, now: Run) -> bool:
    """A quick job may be done again already. Only its attempts show that, from v13 on."""
    shown = before.jobs[before.detail.index].id, now.jobs[now.detail.index].id
    return shown[0] == shown[1] and len(now.detail.attempts or ()) > len(before.detail.attempts or ())


def _job(run: Run, job: Job) -> Job:
    """The same job in a newer state of its run, by its id. Raises UpstreamUnexpected."""
    for each in run.jobs:
        if each.id == job.id:
            return each
    raise UpstreamUnexpected("the job has vanished from its run")
