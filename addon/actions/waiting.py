"""Waiting for a run: for it to appear, to start, to be done. However many wait for the same, Forgejo is asked once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from addon.actions.finding.filters import Filters
from addon.actions.finding.find_job import job_index
from addon.actions.finding.selector import Reading, Selecting
from addon.actions.polling import Pollers
from addon.api.routes import Query
from addon.errors import BadRequest, ClientLeft, NotFound, RunNotFound
from addon.forgejo.access import Access, Grant
from addon.forgejo.web_ui import Forgejo
from addon.limits import Gate
from addon.model import Repo, Run, Status

# Seconds between two looks whether the client is still there.
STEP = 1.0
NOT_STARTED = (Status.WAITING, Status.BLOCKED)

Left = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """How many may wait at once, how long at most, and how long Forgejo's yes to one of them holds, in seconds."""

    places: int = 1
    most: int = 300
    recheck: float = 50.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run at a moment. Two are the same when no status differs, whatever their durations."""

    begun: float = field(compare=False)
    run: Run = field(compare=False)
    state: Sequence[object] = ()

    @classmethod
    def now(cls, forgejo: Forgejo, repo: Repo, number: int) -> _Seen:
        begun = time.monotonic()
        run = forgejo.run(repo, number)
        return cls(begun, run, (run.status, run.done, *(job.status for job in run.jobs)))


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest run of a repository, and one that fits, by number."""

    run: int
    fitting: int | None


class _Patience:
    """What is left of a waiter's time, as long as the client is there and may still read."""

    def __init__(self, query: Query, grant: Grant, access: Access, recheck: float, left: Left) -> None:
        self._recheck = recheck
        self._deadline = time.monotonic() + (query.wait or 0)
        self._checked = time.monotonic()
        self._grant, self._access, self._left = grant, access, left

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._deadline

    def step(self) -> float:
        """Seconds until something has to be looked at. Raises ClientLeft, or what Forgejo now says to the caller."""
        if self._left():
            raise ClientLeft("the client has left")
        now = time.monotonic()
        if now - self._checked >= self._recheck:
            self._access.read(self._grant.caller, self._grant.repo)
            self._checked = now
        return max(0.0, min(STEP, self._deadline - now))


class Waiting:
    """Waits on behalf of callers, so many at a time: they have places of their own and keep nobody else out."""

    def __init__(self, access: Access, forgejo: Forgejo, selecting: Selecting, limits: WaitLimits) -> None:
        self._access, self._forgejo, self._selecting = access, forgejo, selecting
        self._limits = limits
        self._gate = Gate("waiting requests", limits.places, patience=0)
        self._runs = Pollers[_Seen]("run watcher")
        self._appearing = Pollers[_Newest]("runs watcher")

    def check(self, query: Query) -> None:
        """Raises BadRequest for a wait that is too long."""
        if query.wait is not None and query.wait > self._limits.most:
            raise BadRequest(f"wait takes at most {self._limits.most} seconds here (option actions_max_wait)")

    def run(self, query: Query, grant: Grant, left: Left, reading: Reading) -> tuple[Run, bool]:
        """The run, when it is as far as was asked for or the time is over; and whether it was waited for.

        Raises RunNotFound when none has appeared by then, Busy, or ClientLeft.
        """
        patience = _Patience(query, grant, self._access, self._limits.recheck, left)
        begun = time.monotonic()
        try:
            run = self._selecting.run(query, grant, reading)
        except RunNotFound:
            if not query.wait or query.run is not None:
                raise
        else:
            if not query.wait or _is_enough(run, query):
                return run, False
            with self._gate.take():
                return self._until(_Seen(begun, run), query, patience), True
        with self._gate.take():
            begun = time.monotonic()
            run = self._appeared(query, grant, patience)
            return self._until(_Seen(begun, run), query, patience), True

    def _appeared(self, query: Query, grant: Grant, patience: _Patience) -> Run:
        """The run that fits, as soon as there is one."""
        filters = Filters.of(query)
        key = (_key(grant.repo), filters, grant.caller.key if filters.event else None)
        with self._appearing.watch(key, lambda before: self._look(filters, grant, before)) as watch:
            number = 0
            while not patience.over:
                sight = watch.after(number, patience.step())
                if sight.value and sight.value.fitting:
                    with contextlib.suppress(RunNotFound):
                        return self._selecting.run(query, grant)
                number = sight.number
        return self._selecting.run(query, grant)

    def _look(self, filters: Filters, grant: Grant, before: _Newest | None) -> _Newest:
        """One look for a run that fits. The list is read only when there is a new run, if no other can come to fit."""
        try:
            newest = self._forgejo.latest(grant.repo)
        except RunNotFound:
            return _Newest(0, None)
        if filters.lasting and before is not None and before.run == newest:
            return before
        return _Newest(newest, self._selecting.glance(filters, grant))

    def _until(self, first: _Seen, query: Query, patience: _Patience) -> Run:
        """The run when it is enough, as seen since `first`, or as it is when the time is over."""
        repo, number = first.run.repo, first.run.number
        if _is_enough(first.run, query):
            return first.run
        with self._runs.watch((_key(repo), number), lambda _: _Seen.now(self._forgejo, repo, number)) as watch:
            sight = watch.after(0, 0)
            while not patience.over:
                # What was seen before may be from before a rerun.
                if sight.value and sight.value.begun >= first.begun and _is_enough(sight.value.run, query):
                    return sight.value.run
                if isinstance(sight.error, NotFound):
                    raise type(sight.error)(sight.error.message)
                sight = watch.after(sight.number, patience.step())
        return self._forgejo.run(repo, number)


def _is_enough(run: Run, query: Query) -> bool:
    """Whether the run, or the job that was asked for, is done, or has started if that was waited for."""
    if query.job is not None:
        state = run.jobs[job_index(run, query.job)].status
        return state.done or (query.wait_for == "started" and state not in NOT_STARTED)
    running = any(job.status is Status.RUNNING for job in run.jobs) or run.status not in NOT_STARTED
    return run.done or (query.wait_for == "started" and running)


def _key(repo: Repo) -> str:
    return str(repo).lower()
