"""Waiting for a run to appear, to start or to be done. Forgejo is polled once for all who wait for the same run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from addon import trace
from addon.actions.finding.filters import Filters
from addon.actions.finding.find_job import job_index
from addon.actions.finding.run_finder import RunFinder, named_index
from addon.actions.finding.run_selector import Reading, RunSelector
from addon.actions.polling import Pollers
from addon.actions.query import Query
from addon.actions.recheck import Recheck
from addon.actions.run_times import true_times
from addon.caller import Caller
from addon.errors import ClientDisconnected, NotFound, RunNotFound
from addon.forgejo.access import Access, Grant
from addon.forgejo.runs_api import RunsApi
from addon.forgejo.web_ui import WebUi
from addon.limits import Limiter
from addon.model import Job, Repo, Run, RunDetails, Status

# Seconds between two checks whether the client is still connected.
STEP = 1.0
NOT_STARTED = (Status.WAITING, Status.BLOCKED)

IsDisconnected = Callable[[], bool]


def check_connected(is_disconnected: IsDisconnected) -> None:
    """Raises ClientDisconnected if nobody reads the response any more."""
    if is_disconnected():
        raise ClientDisconnected("the client has disconnected")


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """How many requests may wait at once, and after how many seconds access is checked again."""

    slots: int = 1
    recheck: float = 50.0


@dataclass(frozen=True, slots=True)
class _Observation:
    """A run at a moment. Two are equal if no status differs, whatever the durations are."""

    time: float = field(compare=False)
    run: Run = field(compare=False)
    state: Sequence[object] = ()

    @classmethod
    def now(cls, web_ui: WebUi, repo: Repo, number: int) -> _Observation:
        started = time.monotonic()
        run = web_ui.run(repo, number)
        return cls(started, run, (run.status, run.done, *(job.status for job in run.jobs)))


@dataclass(frozen=True, slots=True)
class _Newest:
    """The number of a repository's newest run (0 if none), and of the newest that may match."""

    run: int
    matching: int | None


class _Patience:
    """The time that a request still waits, while its client is connected and may still read."""

    def __init__(
        self, query: Query, grant: Grant, access: Access, recheck: float, is_disconnected: IsDisconnected
    ) -> None:
        self._recheck = Recheck(lambda: access.read(grant.caller, grant.repo), recheck)
        self._deadline = time.monotonic() + (query.wait or 0)
        self._is_disconnected = is_disconnected

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._deadline

    def next_timeout(self) -> float:
        """How many seconds to wait before the next check. Raises ClientDisconnected, or Forgejo's new refusal."""
        check_connected(self._is_disconnected)
        self._recheck.if_due()
        return max(0.0, min(STEP, self._deadline - time.monotonic()))


class Waiting:
    """Reads runs, and waits for them if asked to. Waiting requests have slots of their own."""

    def __init__(
        self,
        finder: RunFinder,
        selector: RunSelector,
        access: Access,
        runs_api: RunsApi,
        web_ui: WebUi,
        limits: WaitLimits,
    ) -> None:
        self._finder, self._selector = finder, selector
        self._access, self._runs_api, self._web_ui = access, runs_api, web_ui
        self._limits = limits
        self._limiter = Limiter("waiting requests", limits.slots, patience=0)
        self._runs = Pollers[_Observation]("run poller")
        self._appearing = Pollers[_Newest]("latest run poller")

    def run(self, query: Query, caller: Caller, is_disconnected: IsDisconnected) -> Run:
        """The run of a request, after the wait that it asks for."""
        return self._read(query, caller, is_disconnected, with_details=False)[0]

    def run_and_grant(self, query: Query, caller: Caller, is_disconnected: IsDisconnected) -> tuple[Run, Grant]:
        """The same, with the permission to read."""
        return self._read(query, caller, is_disconnected, with_details=False)

    def run_with_details(self, query: Query, caller: Caller, is_disconnected: IsDisconnected) -> Run:
        """The same, with the details that only the REST API has."""
        run, grant = self._read(query, caller, is_disconnected, with_details=True)
        with trace.timed("access"):
            details = grant.details or self._runs_api.details(grant, run.number)
        return replace(run, details=true_times(run, details))

    def _read(
        self, query: Query, caller: Caller, is_disconnected: IsDisconnected, with_details: bool
    ) -> tuple[Run, Grant]:
        """The run and the permission to read it. After a wait, access is checked again and details are new."""
        grant = self._finder.grant(query, caller, with_details)
        details: list[Future[RunDetails]] = []
        with trace.pool(1) as pool, trace.timed("wait" if query.wait else "forgejo"):

            def request_details(number: int) -> None:
                details.append(pool.submit(self._runs_api.details, grant, number))

            any_attempt = query.job is None and not query.steps
            reading = Reading(named_index(query), any_attempt)
            if with_details and grant.details is None:
                reading = replace(reading, on_latest=request_details)
            run, waited = self._wait(query, grant, is_disconnected, reading)
        if waited:
            with trace.timed("access"):
                return run, self._access.read(caller, run.repo, run.number if with_details else None)
        return run, replace(grant, details=details[0].result()) if details else grant

    def _wait(self, query: Query, grant: Grant, is_disconnected: IsDisconnected, reading: Reading) -> tuple[Run, bool]:
        """The run when it has reached the state or the time is over, and whether it was waited for.

        Raises RunNotFound if no run has appeared by then, Busy, or ClientDisconnected.
        """
        patience = _Patience(query, grant, self._access, self._limits.recheck, is_disconnected)
        started = time.monotonic()
        try:
            run = self._selector.run(query, grant, reading)
        except RunNotFound:
            if not query.wait or query.run is not None:
                raise
        else:
            if not query.wait or _is_reached(run, query):
                return run, False
            with self._limiter.acquire():
                return self._until_reached(_Observation(started, run), query, patience), True
        with self._limiter.acquire():
            started = time.monotonic()
            run = self._appeared(query, replace(grant, newest=None), patience, reading.job)
            return self._until_reached(_Observation(started, run), query, patience), True

    def _appeared(self, query: Query, grant: Grant, patience: _Patience, job: int) -> Run:
        """The run that matches, as soon as there is one."""
        filters = Filters.of(query)
        key = (_key(grant.repo), filters, grant.caller.key if filters.needs_caller else None)
        with self._appearing.subscribe(key, lambda before: self._newest(filters, grant, before)) as subscription:
            version = 0
            while not patience.over:
                snapshot = subscription.wait(version, patience.next_timeout())
                if snapshot.value and snapshot.value.matching:
                    with contextlib.suppress(RunNotFound):
                        return self._selector.run(query, grant, Reading(job))
                version = snapshot.version
        return self._selector.run(query, grant, Reading(job))

    def _newest(self, filters: Filters, grant: Grant, before: _Newest | None) -> _Newest:
        """Polls for a run that matches. If no older run can come to match, the list is read only for a new run."""
        try:
            newest = self._web_ui.latest(grant.repo)
        except RunNotFound:
            return _Newest(0, None)
        if filters.permanent and before is not None and before.run == newest:
            return before
        return _Newest(newest, self._selector.newest_candidate(filters, grant))

    def _until_reached(self, first: _Observation, query: Query, patience: _Patience) -> Run:
        """The run when it has reached the state, as observed since `first`; its present state when the time is over.

        If the query names a job, the run has this same job in detail, whatever its index is by then.
        """
        repo, number = first.run.repo, first.run.number
        job = None if query.job is None else first.run.jobs[job_index(first.run, query.job)]
        if _is_reached(first.run, query):
            return first.run

        def is_reached(run: Run) -> bool:
            return _is_reached(run, query) if job is None else _job_is_reached(run.job(job.id), query)

        with self._runs.subscribe(
            (_key(repo), number), lambda _: _Observation.now(self._web_ui, repo, number)
        ) as subscription:
            snapshot = subscription.wait(0, 0)
            while not patience.over:
                # An older observation may be from before a rerun.
                if snapshot.value and snapshot.value.time >= first.time and is_reached(snapshot.value.run):
                    return snapshot.value.run if job is None else self._web_ui.same_job(first.run, job)
                if isinstance(snapshot.error, NotFound):
                    raise type(snapshot.error)(snapshot.error.message)
                snapshot = subscription.wait(snapshot.version, patience.next_timeout())
        return self._web_ui.run(repo, number) if job is None else self._web_ui.same_job(first.run, job)


def _is_reached(run: Run, query: Query) -> bool:
    """Whether the run, or the job that was asked for, is in the state that is waited for."""
    if query.job is not None:
        return _job_is_reached(run.jobs[job_index(run, query.job)], query)
    running = any(job.status is Status.RUNNING for job in run.jobs) or run.status not in NOT_STARTED
    return run.done or (query.wait_for == "started" and running)


def _job_is_reached(job: Job | None, query: Query) -> bool:
    """The same for a job. One that Forgejo has replaced (None) is not waited for any longer."""
    return job is None or job.status.done or (query.wait_for == "started" and job.status not in NOT_STARTED)


def _key(repo: Repo) -> str:
    return str(repo).lower()
