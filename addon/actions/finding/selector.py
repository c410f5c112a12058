"""Which run is meant: the one of a number, or the newest that has what was asked for.

The list page has the newest first on every version, but no event, and rows only as far as they are read. Forgejo's API
filters better from v12 on; as before v15 its list is in no order, it is used there when it can be read whole.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from addon.actions.finding.filters import Filters
from addon.api.routes import Query
from addon.errors import BadRequest, NotFound, RunNotFound
from addon.forgejo.access import Access, Grant
from addon.forgejo.runs_api import MOST_PER_PAGE, RUNS, ListedRun, Rest
from addon.forgejo.web_ui import Forgejo
from addon.model import Run, Status

# How many runs are looked through, at most, and how many that seemed to fit are opened.
MOST_RUNS, MOST_OPENED = 250, 5
# How many are asked for where Forgejo has filtered already, and of the API's large objects where it hasn't.
FEW, SOME = 3, 25
TASK_PAGES = 4


@dataclass(slots=True)
class Search:
    """One search: how far it may go, how far it went, and whether that was to the end."""

    most: int = MOST_RUNS
    seen: int = 0
    whole: bool = False
    note: str = ""

    def none(self, grant: Grant, filters: Filters) -> RunNotFound:
        """That nothing was found, and among what."""
        if self.whole:
            return RunNotFound(f"{grant.repo} has no run with {filters}{self.note}")
        return RunNotFound(f"none of the newest {self.seen} runs of {grant.repo} has {filters}{self.note}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a run is read: whether its job may be shown at the first attempt, and who is told the number of an
    unfiltered latest before its page is read."""

    first_will_do: bool = False
    found: Callable[[int], object] = lambda number: None


DEFAULT_READING = Reading()


class Selecting:
    """Finds runs in repositories that access was granted for."""

    def __init__(self, access: Access, rest: Rest, forgejo: Forgejo, newest_first: Callable[[], bool]) -> None:
        """`newest_first` tells whether Forgejo's API lists runs in that order (v15 and later)."""
        self._access, self._rest, self._forgejo = access, rest, forgejo
        self._newest_first = newest_first

    def run(self, query: Query, grant: Grant, reading: Reading = DEFAULT_READING) -> Run:
        """The run that a request is about. Raises RunNotFound, or NotFound when the run of that number doesn't fit."""
        job = query.job if isinstance(query.job, int) and query.action != "rerun" else 0
        filters = Filters.of(query)
        if query.run is None:
            return self.newest(filters, grant, job, reading)
        run = self._forgejo.run(grant.repo, query.run, job, first_will_do=reading.first_will_do)
        if misfit := filters.misfit(run):
            raise NotFound(f"run {run.number} {misfit}")
        if filters.event is not None:
            self._check_event(run.number, filters.event, grant)
        return run

    def newest(self, filters: Filters, grant: Grant, job: int = 0, reading: Reading = DEFAULT_READING) -> Run:
        """The newest run that fits, `job` in detail. Raises RunNotFound."""
        if not filters:
            number = self._forgejo.latest(grant.repo)
            reading.found(number)
            return self._forgejo.run(grant.repo, number, job, first_will_do=reading.first_will_do)
        search = Search()
        for opened, number in enumerate(self._numbers(filters, grant, search), start=1):
            run = self._forgejo.run(grant.repo, number, job, first_will_do=reading.first_will_do)
            if filters.misfit(run) is None:
                return run
            if opened == MOST_OPENED:
                search.whole = False
                break
        raise search.none(grant, filters)

    def glance(self, filters: Filters, grant: Grant) -> int | None:
        """The number of a run that seems to fit, among the newest on one page; for who looks again and again.

        The caller's credentials are used for `event` only.
        """
        search = Search(MOST_PER_PAGE)
        if not filters:
            return self._forgejo.latest(grant.repo)
        numbers = self._numbers(filters, grant, search) if filters.event else self._from_list(filters, grant, search)
        return next(iter(numbers), None)

    def _numbers(self, filters: Filters, grant: Grant, search: Search) -> Iterator[int]:
        """Runs that seem to fit, the newest first."""
        if filters.event or filters.whole_sha or (filters.branch and self._newest_first()):
            found = self._from_api(filters, grant, search)
            if found is not None:
                return found
        return self._from_list(filters, grant, search)

    def _from_api(self, filters: Filters, grant: Grant, search: Search) -> Iterator[int] | None:
        """None before v12, and where too many runs come in no order."""
        if self._newest_first():
            pages = (self._api_pages(filters, ref, grant, search) for ref in filters.refs())
            return heapq.merge(*pages, reverse=True)
        runs: dict[int, ListedRun] = {}
        for page in range(1, search.most // SOME + 1):
            found = self._rest.runs(grant, filters.api_query(), page, SOME)
            if found is None or found.total > search.most:
                return None
            runs |= {run.number: run for run in found.runs}
            if len(runs) >= found.total:
                search.seen, search.whole = len(runs), True
                return iter(sorted((number for number, run in runs.items() if filters.fits_listed(run)), reverse=True))
        return None

    def _api_pages(self, filters: Filters, ref: str | None, grant: Grant, search: Search) -> Iterator[int]:
        exact = filters.actor is None and (filters.head_sha is None or filters.whole_sha)
        limit = FEW if exact else SOME
        for page in range(1, search.most // limit + 1):
            found = self._rest.runs(grant, filters.api_query(ref), page, limit)
            runs = found.runs if found else ()
            search.seen += len(runs)
            yield from (run.number for run in runs if filters.fits_listed(run))
            if found is None or page * limit >= found.total:
                search.whole = True
                return
        search.whole = False

    def _from_list(self, filters: Filters, grant: Grant, search: Search) -> Iterator[int]:
        actor_id = self._access.user_id(grant, filters.actor) if filters.actor else None
        asked = filters.list_query(actor_id)
        has_event = self._event_test(filters, grant, search)
        limit = MOST_PER_PAGE if filters.needs_rows or (filters.actor and actor_id is None) else FEW
        search.note += _renamed_status(filters, self._access)
        for page in range(1, search.most // limit + 1):
            found = self._forgejo.runs(grant.repo, asked, page, limit)
            search.seen += len(found.rows)
            for row in found.rows:
                if filters.fits_row(row, actor_id is not None) and has_event(row.number):
                    yield row.number
            if page >= found.pages:
                search.whole = True
                return

    def _event_test(self, filters: Filters, grant: Grant, search: Search) -> Callable[[int], bool]:
        """Whether a run of the list page has the event that was asked for."""
        if filters.event is None:
            return lambda _: True
        if not self._access.lacks(RUNS):
            return lambda number: self._details_event(grant, number) == filters.event
        events = self._events_of_tasks(grant)
        search.note += (
            f"; this Forgejo (before v12) tells the event of runs that have started, as far as its newest "
            f"{TASK_PAGES * MOST_PER_PAGE} tasks go"
        )
        return lambda number: events.get(number) == filters.event

    def _check_event(self, number: int, wanted: str, grant: Grant) -> None:
        if grant.details is not None:
            event = grant.details.event
        else:
            event = self._details_event(grant, number)
            if event is None and self._access.lacks(RUNS):
                event = self._events_of_tasks(grant).get(number)
        if event is None:
            raise NotFound(f"run {number}: this Forgejo does not tell what triggered it, so not whether event={wanted}")
        if event != wanted:
            raise NotFound(f"run {number} was triggered by {event}, not by {wanted}")

    def _details_event(self, grant: Grant, number: int) -> str | None:
        details = self._access.read(grant.caller, grant.repo, number).details
        return details.event if details else None

    def _events_of_tasks(self, grant: Grant) -> Mapping[int, str]:
        events = self._rest.events(grant, TASK_PAGES)
        if events is None:
            raise BadRequest(
                "event can't be asked for here: this Forgejo (before v9) does not tell what triggered a run"
            )
        return events


def _renamed_status(filters: Filters, access: Access) -> str:
    if filters.status in (Status.CANCELLED, Status.SKIPPED, Status.BLOCKED) and access.lacks(RUNS):
        return "; before v11 Forgejo calls a cancelled run failure, a skipped one success, a blocked one waiting"
    return ""
