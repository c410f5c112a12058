"""The use case of cancelling a run."""

from __future__ import annotations

from dataclasses import dataclass

from addon import trace
from addon.actions.changes import NO_RIGHT, RunChanges, changed_run, unfinished
from addon.actions.finding.run_finder import RunFinder
from addon.actions.query import Query
from addon.caller import Caller
from addon.errors import Conflict
from addon.model import Job, Run


@dataclass(frozen=True, slots=True)
class Cancel:
    """The result of a cancel, or what a dry run would do."""

    before: Run
    after: Run
    dry_run: bool

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that were not done, as they were before."""
        return unfinished(self.before)


class CancelRun:
    """Cancels runs for callers who may write: since v16 with their own credentials."""

    def __init__(self, finder: RunFinder) -> None:
        self._finder = finder

    def cancel(self, query: Query, caller: Caller) -> Cancel:
        """Cancels all jobs that are not done. Raises Conflict if all are done, or if Forgejo cancels none."""
        run, changes = self._finder.to_change(query, caller, "cancel")
        with trace.timed("forgejo"):
            return self._cancel(run, changes, query.dry_run)

    @staticmethod
    def _cancel(run: Run, changes: RunChanges, dry_run: bool) -> Cancel:
        if run.done:
            raise Conflict(f"run {run.number} is done ({run.status}): there is nothing to cancel")
        if dry_run:
            if not run.cancellable:
                raise Conflict(NO_RIGHT)
            return Cancel(run, run, dry_run)
        changes.cancel(run)
        after = changed_run(changes.again, run, run.jobs[0], lambda now: not unfinished(now))
        if after is None:
            raise Conflict("Forgejo accepted the cancel, but the run goes on")
        return Cancel(run, after, dry_run)
