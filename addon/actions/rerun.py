"""The use case of rerunning a run, one job, or the failed jobs.

A 200 from Forgejo proves nothing: before v15 it also answers 200 to reruns that it does not do. So the run is checked
before and after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from addon import trace
from addon.actions.changes import NO_RIGHT, RunChanges, Turns, changed_run
from addon.actions.finding.find_job import job_index, listed, no_such_jobs, several_jobs
from addon.actions.finding.run_finder import RunFinder
from addon.actions.query import ALL, FAILED, SEVERAL, UNSUCCESSFUL, Query
from addon.caller import Caller
from addon.errors import ApiError, Conflict, UpstreamUnexpected
from addon.forgejo.artifacts import artifact_names
from addon.model import Artifact, Job, Run, Status

# Failed jobs are rerun one after the other, and the run is read again after each.
MOST_FAILED = 50


@dataclass(frozen=True, slots=True)
class Rerun:
    """The result of a rerun, or what a dry run would do.

    `job` is what was asked for: an index, FAILED, UNSUCCESSFUL, or None for all. `asked` are the jobs that Forgejo was
    asked to rerun (`whole`: all of them); `attempts` are the new attempts by job id, where Forgejo reports them;
    `refused` says by job id why Forgejo did not rerun some; `artifacts_deleted` are the artifacts that it deletes.
    """

    job: int | str | None
    before: Run
    after: Run
    asked: tuple[Job, ...]
    whole: bool
    dry_run: bool
    attempts: Mapping[int, int] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    artifacts_deleted: tuple[Artifact, ...] = ()

    @property
    def left_out(self) -> tuple[Job, ...]:
        """The cancelled jobs that a rerun of the failed jobs does not include."""
        return _cancelled(self.before) if self.job == FAILED else ()


class RerunRun:
    """Reruns for callers who may write: since v17 with their own credentials."""

    def __init__(self, finder: RunFinder) -> None:
        self._finder = finder
        self._turns = Turns()

    def rerun(self, query: Query, caller: Caller) -> Rerun:
        """Reruns what the query names.

        Raises Conflict if it is not possible now, or if artifacts that are to be kept would be deleted. Raises it also
        if Forgejo accepts the rerun and does nothing, or if another rerun comes first.
        """
        since = self._turns.count
        run, changes = self._finder.to_change(query, caller, "rerun")
        job = query.job
        if job is not None and job not in SEVERAL:
            job = job_index(run, job)
        with trace.timed("forgejo"), self._turns.turn(run, since) as is_newer:
            if is_newer:
                run = changes.again(run, run.jobs[run.detail.index])
            return self._rerun(
                run, changes, None if job == ALL else job, query.keep_artifacts is not None, query.dry_run
            )

    def _rerun(
        self, run: Run, changes: RunChanges, job: int | str | None, keep_artifacts: bool, dry_run: bool
    ) -> Rerun:
        asked = _asked(run, job)
        whole = len(asked) == len(run.jobs) and not isinstance(job, int)
        doomed = changes.artifacts(run) if run.rerun_deletes_artifacts else ()
        if keep_artifacts and (lost := [each for each in doomed if not each.expired]):
            raise Conflict(
                f"a rerun in this Forgejo (v15 or later) deletes the run's artifacts: {artifact_names(lost)}; "
                "download them, and leave keep_artifacts out"
            )
        if dry_run:
            if not (run.can_rerun if whole else all(each.can_rerun for each in asked)):
                raise Conflict(NO_RIGHT)
            return Rerun(job, run, run, asked, whole, dry_run, artifacts_deleted=doomed)
        if whole:
            attempts, refused = {run.jobs[0].id: self._request(run, changes, None)}, dict[int, str]()
            after = self._after_rerun(run, changes, None)
        else:
            attempts, refused, after = self._one_by_one(run, changes, asked)
        left = changes.artifacts(after) if doomed else ()
        deleted = tuple(each for each in doomed if each not in left)
        attempts |= {each.id: each.attempt for each in after.jobs if each.attempt and not each.status.done}
        known = {job_id: attempt for job_id, attempt in attempts.items() if attempt is not None}
        done = tuple(each for each in asked if each.id not in refused)
        return Rerun(job, run, after, done, whole, dry_run, known, refused, deleted)

    def _one_by_one(
        self, run: Run, changes: RunChanges, asked: Sequence[Job]
    ) -> tuple[dict[int, int | None], dict[int, str], Run]:
        """The new attempts, the refusals, and the run afterwards.

        Forgejo reruns the jobs that need a rerun job with it. They are not asked for again: that would start them
        before what they need, or since v15 cancel them. After the first success, errors are part of the result.
        """
        now = run
        attempts: dict[int, int | None] = {}
        refused: dict[int, str] = {}
        for job in changes.in_order(run, asked) if len(asked) > 1 else asked:
            here = now.job(job.id)
            if here is None or not here.status.done:
                continue
            try:
                attempts[job.id] = self._request(now, changes, here)
                now = self._after_rerun(now, changes, here)
            except ApiError as error:
                if now is run:
                    raise
                attempts.pop(job.id, None)
                refused[job.id] = error.message
                if not isinstance(error, Conflict):  # Forgejo itself fails
                    left = (each.id for each in now.jobs if each.status.done and each.id in {job.id for job in asked})
                    refused |= {job_id: error.message for job_id in left if job_id not in attempts}
                    break
        return attempts, refused, now

    @staticmethod
    def _request(run: Run, changes: RunChanges, job: Job | None) -> int | None:
        """Requests the rerun. When Forgejo fails at it, another rerun may have come first, as one in the web UI."""
        try:
            return changes.rerun(run, job)
        except UpstreamUnexpected:
            if not _has_changed(run, changes.again(run, job or run.jobs[0]), job):
                raise
        raise Conflict(f"Forgejo failed to rerun run {run.number}, which has been rerun meanwhile: look at its state")

    @staticmethod
    def _after_rerun(before: Run, changes: RunChanges, job: Job | None) -> Run:
        """The run after a rerun. Raises Conflict if nothing has changed."""
        after = changed_run(changes.again, before, job or before.jobs[0], lambda now: _has_changed(before, now, job))
        if after is None:
            raise Conflict("Forgejo accepted the rerun but nothing was rerun")
        return after


def _asked(run: Run, job: int | str | None) -> tuple[Job, ...]:
    """The jobs to rerun. Raises Conflict for what older versions would answer with 200 and not do."""
    if isinstance(job, int):
        found = run.jobs[job]
        if not found.status.done:
            raise Conflict(f"job {job} ({found.name}) is not done ({found.status})")
        return (found,)
    if not run.done:
        raise Conflict(f"run {run.number} is not done ({run.status}); it can be rerun when all its jobs are done")
    if job is None:
        return run.jobs
    failed = several_jobs(run, job)
    if not failed:
        others = listed(_cancelled(run))
        hint = f"; cancelled: {others}: give job={UNSUCCESSFUL}, or leave job out to rerun all" if others else ""
        raise Conflict(no_such_jobs(run, job) + hint)
    if len(failed) > MOST_FAILED and len(failed) < len(run.jobs):
        raise Conflict(f"{len(failed)} jobs failed, and at most {MOST_FAILED} are rerun at once: leave job out for all")
    return failed


def _cancelled(run: Run) -> tuple[Job, ...]:
    return tuple(job for job in run.jobs if job.status is Status.CANCELLED)


def _has_changed(before: Run, after: Run, job: Job | None) -> bool:
    """Whether the run, or the job if one was rerun, goes on again or has a further attempt."""
    if job is None:
        if not after.done:
            return True
    elif (now := after.job(job.id)) is None or not now.status.done or (now.attempt or 0) > (job.attempt or 0):
        return True
    same = before.jobs[before.detail.index].id == after.jobs[after.detail.index].id
    return same and len(after.detail.attempts or ()) > len(before.detail.attempts or ())
