"""Finds the run of a request, for a caller who may read or change it. Every use case starts here."""

from __future__ import annotations

from collections.abc import Callable

from addon import trace
from addon.actions.changes import RunChanges
from addon.actions.finding.filters import Filters
from addon.actions.finding.find_job import job_index
from addon.actions.finding.only_attempt import Attempts, attempts_of
from addon.actions.finding.run_selector import DEFAULT_READING, Reading, RunSelector
from addon.actions.query import NEWEST, Query
from addon.caller import Caller
from addon.errors import Conflict, NotFound, RunNotFound
from addon.forgejo.access import Access, Grant
from addon.forgejo.native_api import CallersRuns
from addon.forgejo.rest import RouteMissing
from addon.forgejo.runs_api import RunsApi
from addon.forgejo.web_ui import WebUi
from addon.model import Run


class RunFinder:
    """Permission checks first, then the run. Only the Grant of a check leads to the administrator's session."""

    def __init__(
        self,
        access: Access,
        selector: RunSelector,
        web_ui: WebUi,
        runs_api: RunsApi,
        default_attempt: str,
        is_native: Callable[[str], bool | None],
        own_runs: Callable[[Grant], CallersRuns],
        by_session: RunChanges,
    ) -> None:
        """`default_attempt` is `1` or `latest`: which attempt's log is meant if the request names none.

        `is_native` tells whether this Forgejo has a route of its own, by database id, for an action on a run. Then
        `own_runs` gives what the caller can do himself; else a change is made `by_session`.
        """
        self._is_native, self._own_runs, self._by_session = is_native, own_runs, by_session
        self._access, self._selector, self._web_ui, self._runs_api = access, selector, web_ui, runs_api
        self._default_attempt = NEWEST if default_attempt == "latest" else 1

    def grant(self, query: Query, caller: Caller, with_details: bool = False) -> Grant:
        """The permission to read. Raises like Access.read.

        It has the details of a run that is named by its number, if they are wanted. If the newest run is meant, it has
        its number and details as far as they cost no further request.
        """
        newest = query.run is None and not Filters.of(query)
        with trace.timed("access"):
            return self._access.read(caller, query.repo, query.run if with_details else None, newest)

    def to_read(self, query: Query, caller: Caller, reading: Reading = DEFAULT_READING) -> Run:
        """The run, for a caller who may read it."""
        grant = self.grant(query, caller)
        with trace.timed("forgejo"):
            return self._selector.run(query, grant, reading)

    def job_to_read(self, query: Query, caller: Caller) -> Run:
        """The run with one job in detail: the first if none is named, at the asked attempt or the default one."""
        any_attempt = self._default(query) == 1 if query.attempt is None else query.attempt == 1
        run = self.to_read(query, caller, Reading(job=named_index(query), any_attempt=any_attempt))
        with trace.timed("forgejo"):
            return self.with_job(run, query.job or 0, self._attempt(query, run), caller)

    def to_change(self, query: Query, caller: Caller, action: str) -> tuple[Run, RunChanges]:
        """The run, for a caller who may start and stop runs, and what makes the change.

        Raises Conflict if two runs could be meant.
        """
        with trace.timed("access"):
            grant = self._access.write(caller, query.repo)
        with trace.timed("forgejo"):
            run, changes = self._run_to_change(query, grant, action)
        with trace.timed("access"):
            self._refuse_ambiguous(query, grant, run, action)
        return run, changes

    def _run_to_change(self, query: Query, grant: Grant, action: str) -> tuple[Run, RunChanges]:
        if self._is_native(action):
            own = self._own_runs(grant)
            try:
                return self._selector.run(query, grant, Reading(own=own)), own
            except RouteMissing:  # after a downgrade
                pass
        return self._selector.run(query, grant), self._by_session

    def _refuse_ambiguous(self, query: Query, grant: Grant, run: Run, action: str) -> None:
        """Where Forgejo has this route too, its clients mean an id: a number that is also one changes nothing."""
        if not query.may_be_id or self._is_native(action) is False:
            return
        number = self._runs_api.number_of(grant, run.number)
        if number in (None, run.number):
            return
        own_id = "" if run.id is None else f" (id {run.id})"
        raise Conflict(
            f"{run.number} is the number of one run{own_id} and the id of run {number}: nothing was changed. Ask for "
            f"runs/by-number/{run.number}/{action} or runs/by-number/{number}/{action}; programs that use ids need "
            "the proxy's option actions_collisions: native, or Forgejo's jobs/{id}/… routes"
        )

    def with_job(self, run: Run, job: int | str, attempt: int, caller: Caller) -> Run:
        """The run with this job and attempt (or NEWEST) in detail. Raises NotFound."""
        index = job_index(run, job)
        if attempt == 1 and run.detail.attempts is None:
            self.attempts_of(run, caller).check_only_one(run, index)
            attempt = NEWEST
        if index == run.detail.index and attempt in (NEWEST, run.detail.attempt):
            return run
        return self._web_ui.run(run.repo, run.number, index, attempt or None)

    def attempts_of(self, run: Run, caller: Caller) -> Attempts:
        """How many attempts the run's jobs have had, for versions that do not number them (before v13)."""
        return attempts_of(run, caller, self._access, self._runs_api)

    def with_hint(self, missing: RunNotFound, query: Query, caller: Caller) -> NotFound:
        """The same error; with a hint if the number is the database id of a run that the caller may read."""
        if missing.number is None or missing.number != query.run:
            return missing
        number = self._runs_api.number_of(self._access.read(caller, query.repo), missing.number)
        if number is None:
            return missing
        return NotFound(
            f"no run {query.run}: this path takes the run number seen in the web page's URL, and {query.run} is the "
            f"database id of run {number}; ask for runs/{number}"
        )

    def _attempt(self, query: Query, run: Run) -> int:
        """The asked attempt or the default one; before v13, which does not number attempts, the newest."""
        if query.attempt is not None:
            return query.attempt
        return NEWEST if run.detail.attempts is None else self._default(query)

    def _default(self, query: Query) -> int:
        """The attempt that is meant if the request names none.

        Who asks what failed, or names the job, means the newest: an earlier one may have succeeded since.
        """
        return NEWEST if query.failed_steps or isinstance(query.job, str) else self._default_attempt


def named_index(query: Query) -> int:
    """The index of a job that is named by it, else 0: which job's page to read first."""
    return query.job if isinstance(query.job, int) else 0
