"""The list of a repository's runs, from the page that lists them: for versions whose API lists none (before v12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from addon import trace
from addon.actions.finding.filters import Filters
from addon.actions.finding.selector import MOST_RUNS, TASK_PAGES
from addon.api.routes import Query
from addon.errors import BadRequest, RunNotFound
from addon.forgejo.access import Access, Grant
from addon.forgejo.pages.run_list import Row
from addon.forgejo.runs_api import MOST_PER_PAGE, Rest
from addon.forgejo.web_ui import Forgejo, ListQuery
from addon.model import Run, RunDetails

SIDE_BY_SIDE = 4


@dataclass(frozen=True, slots=True)
class Listing:
    """Runs of one page, and how many fit in all (None when not all were looked at); `events` by run number."""

    runs: tuple[Row | Run, ...]
    total: int | None
    events: Mapping[int, str]


class Lister:
    """Lists runs of repositories that access was granted for."""

    def __init__(self, access: Access, rest: Rest, forgejo: Forgejo) -> None:
        self._access, self._rest, self._forgejo = access, rest, forgejo

    def runs(self, query: Query, grant: Grant) -> Listing:
        """A page of the runs that fit, the newest first. Raises BadRequest where a version can't tell the event."""
        filters = Filters.of(query)
        events = self._events(filters, grant)
        actor_id = self._access.user_id(grant, filters.actor) if filters.actor else None
        asked = filters.list_query(actor_id)
        if filters.needs_rows or (filters.actor and actor_id is None):
            fitting, whole = self._fitting(filters, asked, actor_id is not None, events, grant)
            rows = fitting[(query.page - 1) * query.limit : query.page * query.limit]
            total = len(fitting) if whole else None
        else:
            rows, total = self._page(asked, query, grant)
        with trace.pool(SIDE_BY_SIDE) as pool:
            opened = list(pool.map(lambda row: self._settled(row, filters, events, grant), rows))
        runs = tuple(run for run in opened if run is not None)
        return Listing(runs, None if total is None else total - len(opened) + len(runs), events)

    def _page(self, asked: ListQuery, query: Query, grant: Grant) -> tuple[list[Row], int]:
        """A page as Forgejo has it. How many there are in all follows from what is on the last."""
        found = self._forgejo.runs(grant.repo, asked, query.page, query.limit)
        last, rows = query.page, len(found.rows)
        if found.pages > query.page or (not found.rows and query.page > 1):
            last = max(found.pages, 1)
            rows = len(self._forgejo.runs(grant.repo, asked, last, query.limit).rows)
        return list(found.rows), (last - 1) * query.limit + rows

    def _fitting(
        self, filters: Filters, asked: ListQuery, actor_is_known: bool, events: Mapping[int, str], grant: Grant
    ) -> tuple[list[Row], bool]:
        """The rows that fit among the newest, and whether these were all there are."""
        fitting: list[Row] = []
        for page in range(1, MOST_RUNS // MOST_PER_PAGE + 1):
            found = self._forgejo.runs(grant.repo, asked, page, MOST_PER_PAGE)
            fitting += (
                row
                for row in found.rows
                if filters.fits_row(row, actor_is_known) and filters.event in (None, events.get(row.number))
            )
            if page >= found.pages:
                return fitting, True
        return fitting, False

    def _settled(self, row: Row, filters: Filters, events: Mapping[int, str], grant: Grant) -> Row | Run | None:
        """The row; or its run, where the row can't tell how it ended. None when that does not fit, or has gone."""
        if row.settled:
            return replace(row, workflow_id=row.workflow_id or filters.workflow_id)
        try:
            run = self._forgejo.run(grant.repo, row.number)
        except RunNotFound:
            return None
        details = RunDetails(
            event=events.get(row.number),
            updated_at=row.updated_at,
            duration_seconds=row.duration_seconds if run.done else None,
        )
        return None if filters.misfit(run) else replace(run, details=details)

    def _events(self, filters: Filters, grant: Grant) -> Mapping[int, str]:
        events = self._rest.events(grant, TASK_PAGES if filters.event else 1)
        if events is None and filters.event is not None:
            raise BadRequest(
                "event can't be asked for here: this Forgejo (before v9) does not tell what triggered a run"
            )
        return events or {}
