"""Reruns and cancels: what is checked before, what is asked of Forgejo, and whether it then happened.

That Forgejo answers 200 proves nothing: before v15 it says so of reruns that it does not do, and of the cancel of a
finished run in every version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from addon import trace
from addon.api.parameters import FAILED
from addon.errors import ApiError, Conflict, UpstreamUnexpected
from addon.forgejo.artifacts import Artifacts, names
from addon.forgejo.web_ui import Forgejo
from addon.model import Artifact, Job, Run, Status

# How often the effect is looked for; Forgejo writes it before it answers, so the first look should do.
LOOKS, PAUSE = 3, 0.2
SIDE_BY_SIDE = 4
# Failed jobs are asked for one after the other, each with a look at what that moved.
MOST_FAILED = 50
UNKNOWN = datetime.max.replace(tzinfo=UTC)
NO_RIGHT = "Forgejo's pages don't offer this to the proxy's account: it may not write here, or the workflow is invalid"


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a rerun did, or of a dry run, would do.

    `asked` are the jobs that Forgejo was asked for (all of them if `whole`), `attempts` the new attempts by index
    where it told them, `refused` why it did not take some by index, `artifacts_deleted` what of the run is lost.
    """

    before: Run
    after: Run
    asked: tuple[Job, ...]
    whole: bool
    dry_run: bool
    attempts: Mapping[int, int] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    artifacts_deleted: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    """What a cancel did, or of a dry run, would do: `jobs` are those that were not done."""

    before: Run
    after: Run
    dry_run: bool

    @property
    def jobs(self) -> tuple[Job, ...]:
        """As they were before."""
        return _unfinished(self.before)


class Changes:
    """Does what the administrator's account may do, for callers who may."""

    def __init__(self, forgejo: Forgejo, artifacts: Artifacts) -> None:
        self._forgejo = forgejo
        self._artifacts = artifacts

    def rerun(self, run: Run, job: int | str | None, keep_artifacts: bool = False, dry_run: bool = False) -> Rerun:
        """Reruns the run (`job` None), one job with those that need it, or the failed ones (`failed`).

        Raises Conflict when it can't be done now, when `keep_artifacts` and Forgejo would delete some, or when
        Forgejo says yes and does nothing.
        """
        asked = _asked(run, job)
        whole = len(asked) == len(run.jobs) and not isinstance(job, int)
        doomed = self._artifacts.list(run) if run.rerun_deletes_artifacts else ()
        if keep_artifacts and (lost := [each for each in doomed if not each.expired]):
            raise Conflict(
                f"a rerun in this Forgejo (v15 or later) deletes the run's artifacts: {names(lost)}; "
                "download them, and leave keep_artifacts out"
            )
        if dry_run:
            if not (run.can_rerun if whole else all(each.can_rerun for each in asked)):
                raise Conflict(NO_RIGHT)
            return Rerun(run, run, asked, whole, dry_run, artifacts_deleted=doomed)
        if whole:
            attempts, refused = {0: self._forgejo.rerun(run, None)}, dict[int, str]()
            after = self._moved(run, None)
        else:
            attempts, refused, after = self._one_by_one(run, asked)
        left = after.artifacts or ()
        deleted = tuple(each for each in doomed if each not in left)
        done = tuple(each for each in asked if each.index not in refused)
        return Rerun(run, after, done, whole, dry_run, _told(attempts), refused, deleted)

    def cancel(self, run: Run, dry_run: bool = False) -> Cancel:
        """Cancels every job that is not done. Raises Conflict for a run that is, or when Forgejo does nothing."""
        if run.done:
            raise Conflict(f"run {run.number} is done ({run.status}): there is nothing to cancel")
        if dry_run:
            if not run.cancellable:
                raise Conflict(NO_RIGHT)
            return Cancel(run, run, dry_run)
        self._forgejo.cancel(run)
        after = self._look(run, 0, lambda now: not _unfinished(now))
        if after is None:
            raise Conflict("Forgejo accepted the cancel, but the run goes on")
        return Cancel(run, after, dry_run)

    def _one_by_one(self, run: Run, asked: Sequence[Job]) -> tuple[dict[int, int | None], dict[int, str], Run]:
        """The new attempts, what was refused, and the run afterwards.

        Forgejo sets those that need a job in motion with it: they are not asked for again, which would start them
        before what they need (or, since v15, cancel them). Once something moves, an error is told in the answer.
        """
        now = run
        attempts: dict[int, int | None] = {}
        refused: dict[int, str] = {}
        for job in self._in_order(run, asked):
            if not now.jobs[job.index].status.done:
                continue
            try:
                attempts[job.index] = self._forgejo.rerun(run, job.index)
                now = self._moved(now, job.index)
            except ApiError as error:
                if now is run:
                    raise
                attempts.pop(job.index, None)
                refused[job.index] = error.message
                if not isinstance(error, Conflict):  # Forgejo itself is in trouble
                    left = (each.index for each in asked if now.jobs[each.index].status.done)
                    refused |= {index: error.message for index in left if index not in attempts}
                    break
        return attempts, refused, now

    def _in_order(self, run: Run, jobs: Sequence[Job]) -> list[Job]:
        """So that none comes before one that it needs. Forgejo doesn't show what a job needs, but a job starts after
        what it needs has ended: the order is that of their starts."""
        if len(jobs) < 2:
            return list(jobs)
        with trace.pool(SIDE_BY_SIDE) as pool:
            starts = list(pool.map(lambda job: self._forgejo.started(run, job.index), jobs))
        pairs = zip((start or UNKNOWN for start in starts), (job.index for job in jobs), strict=True)
        return [run.jobs[index] for _, index in sorted(pairs)]

    def _moved(self, before: Run, job: int | None) -> Run:
        """The run after a rerun; Conflict when nothing has changed."""
        after = self._look(before, job or 0, lambda now: _changed(before, now, job))
        if after is None:
            raise Conflict("Forgejo accepted the rerun but nothing was rerun")
        return after

    def _look(self, run: Run, job: int, wanted: Callable[[Run], bool]) -> Run | None:
        for look in range(LOOKS):
            if look:
                time.sleep(PAUSE)
            now = self._forgejo.run(run.repo, run.number, job)
            if len(now.jobs) < len(run.jobs):
                raise UpstreamUnexpected("jobs of the run have vanished")
            if wanted(now):
                return now
        return None


def _asked(run: Run, job: int | str | None) -> tuple[Job, ...]:
    """The jobs that are to be rerun. Refuses what older versions would answer with 200 and not do."""
    if isinstance(job, int):
        found = run.jobs[job]
        if not found.status.done:
            raise Conflict(f"job {job} ({found.name}) is not done ({found.status})")
        return (found,)
    if not run.done:
        raise Conflict(f"run {run.number} is not done ({run.status}); it can be rerun when all its jobs are done")
    if job != FAILED:
        return run.jobs
    failed = tuple(each for each in run.jobs if each.status is Status.FAILURE)
    if not failed:
        others = _listed(each for each in run.jobs if each.status is Status.CANCELLED)
        hint = f"; cancelled: {others}: give job=N, or leave job out to rerun all" if others else ""
        raise Conflict(f"no job of run {run.number} failed{hint}")
    if len(failed) > MOST_FAILED and len(failed) < len(run.jobs):
        raise Conflict(f"{len(failed)} jobs failed, and at most {MOST_FAILED} are rerun at once: leave job out for all")
    return failed


def _unfinished(run: Run) -> tuple[Job, ...]:
    return tuple(job for job in run.jobs if not job.status.done)


def _listed(jobs: Iterable[Job], limit: int = 20) -> str:
    words = [f"{job.index} ({job.name})" for job in jobs]
    return ", ".join(words[:limit] + ["…"] * (len(words) > limit))


def _told(attempts: Mapping[int, int | None]) -> Mapping[int, int]:
    return {index: attempt for index, attempt in attempts.items() if attempt is not None}


def _changed(before: Run, after: Run, job: int | None) -> bool:
    if job is None:
        if not after.done:
            return True
    elif not after.jobs[job].status.done:
        return True
    return before.detail.index == after.detail.index and len(after.detail.attempts or ()) > len(
        before.detail.attempts or ()
    )
