"""Selects a run: the one of a number, or the newest that matches the filters.

There are two sources. The list page has the newest run first on every version, but shows no event. Forgejo's API has
better filters since v12. Before v15 its list has no order, so it is used only if it can be read completely.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from addon.actions.finding.filters import Filters
from addon.actions.query import Query
from addon.errors import BadRequest, NotFound, RunNotFound
from addon.forgejo import versions
from addon.forgejo.access import Grant
from addon.forgejo.native_api import CallersRuns
from addon.forgejo.parsers.api_objects import ListedRun
from addon.forgejo.runs_api import MOST_PER_PAGE, RunsApi
from addon.forgejo.web_routes import no_runs
from addon.forgejo.web_ui import WebUi
from addon.model import Run, Status

# How many runs are searched at most, and how many runs that may match are opened.
MOST_RUNS, MOST_OPENED = 250, 5
# Runs per request where Forgejo applies all filters, and where the API's large objects have to be searched.
FEW, SOME = 3, 25
# Pages of tasks that are read to learn the events of runs.
TASK_PAGES = 4
# Runs whose event is looked up one by one, where neither the list nor the tasks tell it.
MOST_LOOKUPS = 50


@dataclass(slots=True)
class Search:
    """The progress of one search. `most` limits it; `complete` says whether no run was left out.

    `lookups` are the runs that Forgejo had to be asked about one by one.
    """

    most: int = MOST_RUNS
    seen: int = 0
    lookups: int = 0
    complete: bool = False
    note: str = ""

    def not_found(self, grant: Grant, filters: Filters) -> RunNotFound:
        """The error for a search without a result. It says how far the search went."""
        if self.complete:
            return RunNotFound(f"{grant.repo} has no run with {filters}{self.note}")
        return RunNotFound(f"none of the newest {self.seen} runs of {grant.repo} has {filters}{self.note}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read the run's page: which job in detail, and whether any attempt of it will do.

    `on_latest` is called with the number of the latest run before its page is read, if there are no filters. With
    `own`, the caller himself reads the run, without any job in detail.
    """

    job: int = 0
    any_attempt: bool = False
    on_latest: Callable[[int], object] = lambda number: None
    own: CallersRuns | None = None


DEFAULT_READING = Reading()


class RunSelector:
    """Selects runs in repositories that access was granted for."""

    def __init__(self, runs_api: RunsApi, web_ui: WebUi, newest_first: Callable[[], bool]) -> None:
        """`newest_first` tells whether Forgejo's API lists the newest run first (v15 and later)."""
        self._runs_api, self._web_ui = runs_api, web_ui
        self._newest_first = newest_first

    def run(self, query: Query, grant: Grant, reading: Reading = DEFAULT_READING) -> Run:
        """The run of a request. Raises RunNotFound, or NotFound if the run of that number does not match."""
        filters = Filters.of(query)
        if query.run is None:
            return self.newest(filters, grant, reading)
        run = self._open(query.run, grant, reading)
        if mismatch := filters.mismatch(run):
            raise NotFound(f"run {run.number} {mismatch}")
        if filters.event is not None:
            self._check_event(run.number, filters.event, grant)
        return run

    def newest(self, filters: Filters, grant: Grant, reading: Reading = DEFAULT_READING) -> Run:
        """The newest run that matches. Raises RunNotFound."""
        if not filters:
            number = reading.own.latest() if reading.own else self._newest_number(grant)
            reading.on_latest(number)
            return self._open(number, grant, reading)
        search = Search()
        for opened, number in enumerate(self._candidates(filters, grant, search), start=1):
            run = self._open(number, grant, reading)
            if filters.mismatch(run) is None:
                return run
            if opened == MOST_OPENED:
                search.complete = False
                break
        raise search.not_found(grant, filters)

    def _open(self, number: int, grant: Grant, reading: Reading) -> Run:
        if reading.own is not None:
            return reading.own.run(number)
        return self._web_ui.run(grant.repo, number, reading.job, any_attempt=reading.any_attempt)

    def _newest_number(self, grant: Grant) -> int:
        if grant.newest == 0:
            raise no_runs(grant.repo)
        return grant.newest or self._web_ui.latest(grant.repo)

    def newest_candidate(self, filters: Filters, grant: Grant) -> int | None:
        """The number of the newest run that may match, searched on one page only; for pollers.

        The caller's credentials are used only for filters with `needs_caller`.
        """
        search = Search(MOST_PER_PAGE)
        if not filters:
            return self._web_ui.latest(grant.repo)
        numbers = self._candidates(filters, grant, search) if filters.event else self._listed(filters, grant, search)
        return next(iter(numbers), None)

    def _candidates(self, filters: Filters, grant: Grant, search: Search) -> Iterator[int]:
        """The numbers of runs that may match, the newest first."""
        if filters.event or filters.whole_sha or (filters.branch and self._newest_first()):
            found = self._from_api(filters, grant, search)
            if found is not None:
                return found
        return self._listed(filters, grant, search)

    def _from_api(self, filters: Filters, grant: Grant, search: Search) -> Iterator[int] | None:
        """From the API's list. None before v12, and where the list has no order and is too long."""
        if self._newest_first():
            pages = (self._api_pages(filters, ref, grant, search) for ref in filters.refs())
            return heapq.merge(*pages, reverse=True)
        runs: dict[int, ListedRun] = {}
        for page in range(1, search.most // SOME + 1):
            found = self._runs_api.runs(grant, filters.api_query(), page, SOME)
            if found is None or found.total > search.most:
                return None
            runs |= {run.number: run for run in found.runs}
            if len(runs) >= found.total:
                search.seen, search.complete = len(runs), True
                matching = (number for number, run in runs.items() if filters.matches_listed(run))
                return iter(sorted(matching, reverse=True))
        return None

    def _api_pages(self, filters: Filters, ref: str | None, grant: Grant, search: Search) -> Iterator[int]:
        """From the API's list of one git reference, with the newest first."""
        limit = FEW if filters.api_is_exact else SOME
        for page in range(1, search.most // limit + 1):
            found = self._runs_api.runs(grant, filters.api_query(ref), page, limit)
            runs = found.runs if found else ()
            search.seen += len(runs)
            yield from (run.number for run in runs if filters.matches_listed(run))
            if found is None or page * limit >= found.total:
                search.complete = True
                return
        search.complete = False

    def _listed(self, filters: Filters, grant: Grant, search: Search) -> Iterator[int]:
        """From the list page."""
        actor_id = self._runs_api.user_id(grant, filters.actor) if filters.actor else None
        list_query = filters.list_query(actor_id)
        has_event = self._event_test(filters, grant, search)
        limit = MOST_PER_PAGE if filters.needs_rows or (filters.actor and actor_id is None) else FEW
        if filters.status in (Status.CANCELLED, Status.SKIPPED, Status.BLOCKED) and self._runs_api.is_missing:
            search.note += (
                "; before v11 Forgejo calls a cancelled run failure, a skipped one success, a blocked one waiting"
            )
        for page in range(1, search.most // limit + 1):
            found = self._web_ui.runs(grant.repo, list_query, page, limit)
            for row in found.rows:
                if search.lookups >= MOST_LOOKUPS:
                    search.note += f"; the event of at most {MOST_LOOKUPS} runs is looked up for one request"
                    return
                search.seen += 1
                if filters.may_match_row(row, actor_id is not None) and has_event(row.number):
                    yield row.number
            if page >= found.pages:
                search.complete = True
                return

    def _event_test(self, filters: Filters, grant: Grant, search: Search) -> Callable[[int], bool]:
        """A test whether the run of a number has the event that was asked for."""
        if filters.event is None:
            return lambda _: True
        if not self._runs_api.is_missing:
            return self._lookup(filters.event, grant, search)
        events = self._events_of_tasks(grant)
        search.note += (
            f"; this Forgejo (before v{versions.FACTS['run_ids'].since}) tells the event of runs that have started, as "
            f"far as its newest {TASK_PAGES * MOST_PER_PAGE} tasks go"
        )
        return lambda number: events.get(number) == filters.event

    def _lookup(self, wanted: str, grant: Grant, search: Search) -> Callable[[int], bool]:
        """A test that looks a run up in the API's list, unless one of the newest tasks shows its event."""
        known = self._runs_api.events(grant, TASK_PAGES) or {}

        def has_event(number: int) -> bool:
            if number in known:
                return known[number] == wanted
            search.lookups += 1
            return self._runs_api.listed_event(grant, number) == wanted

        return has_event

    def _check_event(self, number: int, wanted: str, grant: Grant) -> None:
        if grant.details is not None:
            event = grant.details.event
        else:
            event = self._runs_api.listed_event(grant, number)
            if event is None and self._runs_api.is_missing:
                event = self._events_of_tasks(grant).get(number)
        if event is None:
            raise NotFound(f"run {number}: this Forgejo does not tell what triggered it, so not whether event={wanted}")
        if event != wanted:
            raise NotFound(f"run {number} was triggered by {event}, not by {wanted}")

    def _events_of_tasks(self, grant: Grant) -> Mapping[int, str]:
        events = self._runs_api.events(grant, TASK_PAGES)
        if events is None:
            raise BadRequest(
                "event can't be asked for here: this Forgejo (before v9) does not tell what triggered a run"
            )
        return events
