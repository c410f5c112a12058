"""Finds the run that a job belongs to, by the job's database id.

Forgejo tells nobody which run a job belongs to. But in one repository, runs and their first jobs are stored together: a
later run has a higher least job id. So the run is found by a search, and it counts only if the job is in its list. A
job that Forgejo added to an older run later (a matrix, since v14) is looked for in the runs before. Where the order
does not hold, the job is not found; another job is never taken for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from addon.errors import RunNotFound
from addon.forgejo.access import Grant
from addon.forgejo.native_api import NativeApi
from addon.forgejo.web_ui import WebUi
from addon.model import Repo, Run

# How many runs one search reads at most, and how many older ones it looks into for a job that was added later.
MOST_READ, MOST_OLDER = 40, 20
# How many places below a run without jobs are tried one by one.
NEXT_ONES = 4
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class JobsOfRun:
    """The ids of a run's jobs."""

    number: int
    jobs: frozenset[int]


class Runs(Protocol):
    """A repository's runs in the order of their numbers, at places counted from 1."""

    count: int
    may_grow: bool  # whether jobs can be added to a run later

    def at(self, place: int) -> JobsOfRun | None:
        """The run at a place; None if there is none, or if it has no jobs."""


class JobSearch:
    """Searches in repositories that access was granted for: with the caller's own credentials if Forgejo lists jobs
    (v16), else with the administrator's session.

    It remembers which run a job belongs to, which never changes. It remembers neither the job's index, which changes,
    nor any permission.
    """

    def __init__(self, web_ui: WebUi, native_api: NativeApi, lists_jobs: Callable[[], bool]) -> None:
        """`lists_jobs` tells whether Forgejo is known to have the route for the jobs of a run."""
        self._web_ui, self._native_api, self._lists_jobs = web_ui, native_api, lists_jobs
        self._numbers: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._lock = threading.Lock()

    def number_of(self, grant: Grant, job_id: int) -> int | None:
        """The number of the run that may have this job; None if none has it. Look into the run's list again."""
        with self._lock:
            known = self._numbers.get(_key(grant.repo, job_id))
        if known is not None:
            return known
        found = _Search(self._runs(grant), job_id).result()
        if found is not None:
            self.remember(grant.repo, found.number, found.jobs)
        return found.number if found else None

    def remember(self, repo: Repo, number: int, jobs: Iterable[int]) -> None:
        """Remembers that these jobs belong to this run."""
        with self._lock:
            for job in jobs:
                self._numbers[_key(repo, job)] = number
                self._numbers.move_to_end(_key(repo, job))
            while len(self._numbers) > MOST_REMEMBERED:
                self._numbers.popitem(last=False)

    def forget(self, repo: Repo, job_id: int) -> None:
        """Forgets a job that is not where it was, because another repository has the name now."""
        with self._lock:
            self._numbers.pop(_key(repo, job_id), None)

    def page(self, repo: Repo, number: int) -> Run | None:
        """The page of the run with this number; None if there is none, or if it has no jobs."""
        try:
            return self._web_ui.run(repo, number, any_attempt=True)
        except RunNotFound:
            return None

    def _runs(self, grant: Grant) -> Runs:
        if self._lists_jobs():
            return _ByPlace(self._native_api, grant)
        return _ByNumber(self, self._web_ui, grant.repo)


class _ByNumber:
    """Pages by run number. Before v16 nobody can delete a run, so nearly every number has one."""

    def __init__(self, search: JobSearch, web_ui: WebUi, repo: Repo) -> None:
        self._search, self._repo = search, repo
        self.may_grow = False
        try:
            self.count = web_ui.latest(repo)
        except RunNotFound:
            self.count = 0

    def at(self, place: int) -> JobsOfRun | None:
        run = self._search.page(self._repo, place)
        if run is None:
            return None
        # The page has attempts since v13, and jobs are added since v14.
        self.may_grow = run.detail.attempts is not None
        return JobsOfRun(place, frozenset(job.id for job in run.jobs))


class _ByPlace:
    """The API's list, which has no gaps where runs were deleted."""

    def __init__(self, native_api: NativeApi, grant: Grant) -> None:
        self._native_api, self._grant = native_api, grant
        self.count, self.may_grow = native_api.count(grant), True

    def at(self, place: int) -> JobsOfRun | None:
        run = self._native_api.newest(self._grant, self.count - place)
        jobs = self._native_api.jobs(self._grant, run.id) if run else ()
        return JobsOfRun(run.number, frozenset(jobs)) if run and jobs else None


class _Search:
    """One search. The run that is searched for is the last one whose least job id is not above."""

    def __init__(self, runs: Runs, job_id: int) -> None:
        self._runs, self._job_id = runs, job_id
        self._left = MOST_READ

    def result(self) -> JobsOfRun | None:
        """From the newest run down in growing strides, because recent jobs are asked for most; then by halves."""
        low, high = 0, self._runs.count
        nearest = False
        probe, stride = high, 1
        while low < high:
            place, run = self._at_or_below(probe, low)
            if self._left < 0:
                return None
            if run is None:
                low = probe
            elif self._job_id in run.jobs:
                return run
            elif min(run.jobs) < self._job_id:
                nearest, low = True, place
            else:
                high = place - 1
            probe = (low + high + 1) // 2 if nearest else max(high - stride, low + 1)
            stride *= 2
        return self._in_older(low) if nearest and self._runs.may_grow else None

    def _at_or_below(self, place: int, above: int) -> tuple[int, JobsOfRun | None]:
        """The run at this place; if it is empty, one a little below: at the next places, then in growing strides."""
        tried = 0
        while True:
            self._left -= 1
            tried += 1
            run = self._runs.at(place) if self._left >= 0 else None
            if run is not None or place == above + 1 or self._left < 0:
                return place, run
            place = max(place - (1 if tried < NEXT_ONES else 1 << tried - NEXT_ONES), above + 1)

    def _in_older(self, place: int) -> JobsOfRun | None:
        for older in range(place - 1, max(place - 1 - MOST_OLDER, 0), -1):
            run = self._runs.at(older)
            if run is not None and self._job_id in run.jobs:
                return run
        return None


def _key(repo: Repo, job_id: int) -> tuple[str, int]:
    return (str(repo).lower(), job_id)
