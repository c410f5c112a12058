"""The use case of listing a repository's runs, from the list page: for versions whose API lists none (before v12)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from addon import trace
from addon.actions.finding.filters import Filters
from addon.actions.finding.run_finder import RunFinder
from addon.actions.finding.run_selector import MOST_RUNS, TASK_PAGES
from addon.actions.query import COMPLETED, PAGE_SIZE, Query
from addon.actions.run_times import true_times
from addon.caller import Caller
from addon.errors import BadRequest, Busy, NotFound, RunNotFound
from addon.forgejo.access import Grant
from addon.forgejo.parsers.run_list import ListQuery
from addon.forgejo.runs_api import MOST_PER_PAGE, RunsApi
from addon.forgejo.web_ui import WebUi
from addon.model import Run, RunDetails
from addon.run_row import RunRow

SIDE_BY_SIDE = 4


@dataclass(frozen=True, slots=True)
class RunListing:
    """One page of runs. `total` counts all that match, None if not all were searched; `events` is by run number.

    `more` says whether the search found further ones behind this page.
    """

    runs: tuple[RunRow | Run, ...]
    total: int | None
    events: Mapping[int, str]
    more: bool = False


class ListRuns:
    """Lists runs."""

    def __init__(self, finder: RunFinder, runs_api: RunsApi, web_ui: WebUi) -> None:
        self._finder, self._runs_api, self._web_ui = finder, runs_api, web_ui

    def page(self, query: Query, caller: Caller, in_place_of_forgejo: bool) -> RunListing:
        """One page of the runs that match, the newest first. Raises BadRequest if a version can't tell the event.

        With `in_place_of_forgejo`, raises Busy if Forgejo turns out to list runs itself. The proxy passes the next
        request on.
        """
        grant = self._finder.grant(query, caller)
        if in_place_of_forgejo and grant.lists_runs:
            raise Busy("it was not known yet that this Forgejo lists runs itself; ask again")
        if query.run_number is not None:
            return self._one(query, caller, grant)
        with trace.timed("forgejo"):
            return self._page(query, grant)

    def _one(self, query: Query, caller: Caller, grant: Grant) -> RunListing:
        """A list with the run of a number, if it matches."""
        events = self._events(query, grant)
        try:
            run = self._finder.to_read(replace(query, run=query.run_number, event=None), caller)
        except NotFound:
            return RunListing((), 0, events)
        if not _is_of(query.statuses, run) or not _has_event(query, run.number, events):
            return RunListing((), 0, events)
        run = replace(run, details=RunDetails(event=events.get(run.number)))
        return RunListing(tuple(query.of_page((run,))), 1, events)

    def _page(self, query: Query, grant: Grant) -> RunListing:
        filters = Filters.of(query)
        events = self._events(query, grant)
        actor_id = self._runs_api.user_id(grant, filters.actor) if filters.actor else None
        list_query = filters.list_query(actor_id)
        more = False
        if filters.needs_rows or (filters.actor and actor_id is None) or query.statuses or query.events:
            matching, complete = self._matching(query, list_query, actor_id is not None, events, grant)
            rows = list(query.of_page(matching))
            total = len(matching) if complete else None
            more = bool(rows) and rows[-1] is not matching[-1]
        else:
            rows, total = self._forgejo_page(list_query, query, grant)
        with trace.pool(SIDE_BY_SIDE) as pool:
            checked = list(pool.map(lambda row: self._checked(row, query, events, grant), rows))
        runs = tuple(run for run in checked if run is not None)
        return RunListing(runs, None if total is None else total - len(checked) + len(runs), events, more)

    def _forgejo_page(self, list_query: ListQuery, query: Query, grant: Grant) -> tuple[list[RunRow], int]:
        """One page of Forgejo's list, and how many runs there are. The last page tells the latter."""
        page, limit = query.page or 1, query.limit or PAGE_SIZE
        found = self._web_ui.runs(grant.repo, list_query, page, limit)
        last, rows = page, len(found.rows)
        if found.pages > page or (not found.rows and page > 1):
            last = max(found.pages, 1)
            rows = len(self._web_ui.runs(grant.repo, list_query, last, limit).rows)
        return list(found.rows), (last - 1) * limit + rows

    def _matching(
        self, query: Query, list_query: ListQuery, actor_is_filtered: bool, events: Mapping[int, str], grant: Grant
    ) -> tuple[list[RunRow], bool]:
        """The matching rows among the newest runs, and whether these were all runs."""
        filters = Filters.of(query)
        matching: list[RunRow] = []
        for page in range(1, MOST_RUNS // MOST_PER_PAGE + 1):
            found = self._web_ui.runs(grant.repo, list_query, page, MOST_PER_PAGE)
            matching += (
                row
                for row in found.rows
                if filters.may_match_row(row, actor_is_filtered)
                and _is_of(query.statuses, row)
                and _has_event(query, row.number, events)
            )
            if page >= found.pages:
                return matching, True
        return matching, False

    def _checked(self, row: RunRow, query: Query, events: Mapping[int, str], grant: Grant) -> RunRow | Run | None:
        """The row, or the run itself where the row can't tell its state. None if it does not match or has gone."""
        filters = Filters.of(query)
        if row.settled:
            return replace(row, workflow_id=row.workflow_id or filters.workflow_id)
        try:
            run = self._web_ui.run(grant.repo, row.number)
        except RunNotFound:
            return None
        details = RunDetails(
            event=events.get(row.number),
            updated_at=row.updated_at,
            duration_seconds=row.duration_seconds,
        )
        if filters.mismatch(run) or not _is_of(query.statuses, run):
            return None
        return replace(run, details=true_times(run, details))

    def _events(self, query: Query, grant: Grant) -> Mapping[int, str]:
        wanted = query.event or query.events
        events = self._runs_api.events(grant, TASK_PAGES if wanted else 1)
        if events is None and wanted:
            raise BadRequest(
                "event can't be asked for here: this Forgejo (before v9) does not tell what triggered a run"
            )
        return events or {}


def _is_of(statuses: Collection[str], found: RunRow | Run) -> bool:
    """Whether the state is one of several, or may be one if a row can't tell it."""
    done = found.status.done if isinstance(found, RunRow) else found.done
    unsure = isinstance(found, RunRow) and not found.settled
    return not statuses or unsure or found.status in statuses or (COMPLETED in statuses and done)


def _has_event(query: Query, number: int, events: Mapping[int, str]) -> bool:
    wanted = query.events or ((query.event,) if query.event else ())
    return not wanted or events.get(number) in wanted
