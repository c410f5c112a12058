"""What Forgejo's REST API tells of a repository's runs, with the credentials of a caller who may read them.

The API lists runs since v12. Before v15 the list has no order. Its filter `event` takes the webhook's event names,
several of which stand for one event of a workflow. A list that is filtered by them can hold other events too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from addon.errors import NotFound
from addon.forgejo.access import Access, Grant
from addon.forgejo.parsers import api_objects
from addon.forgejo.parsers.api_objects import ListedRun
from addon.forgejo.parsers.values import time
from addon.forgejo.rest import RUNS, TASKS, RestApi, RouteMissing, json_object
from addon.forgejo.transport import QueryValues, Response
from addon.model import RunDetails, is_name

MOST_PER_PAGE = 50
# How many pages of tasks are searched for all tasks of one run.
MOST_TASK_PAGES = 20
# The webhook events behind a workflow's pull_request, issues, issue_comment and the like.
HOOK_EVENTS = (
    "issues", "issue_assign", "issue_label", "issue_milestone", "issue_comment", "pull_request", "pull_request_assign",
    "pull_request_label", "pull_request_milestone", "pull_request_comment", "pull_request_review_approved",
    "pull_request_review_rejected", "pull_request_review_comment", "pull_request_sync", "pull_request_review_request",
)  # fmt: skip

# Other events with another name, or with several. A scheduled run has the event that brought its workflow file.
OTHER_HOOK_EVENTS: Mapping[str, Sequence[str]] = {
    "schedule": ("push", "schedule"),
    "registry_package": ("package",),
    "gollum": ("wiki",),
}


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of the API's list. `total` counts all runs that match."""

    runs: tuple[ListedRun, ...]
    total: int


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks the jobs of a run have had, by the jobs' names. `complete` says whether no task was left out."""

    by_job: Mapping[str, int]
    complete: bool


class RunsApi:
    """Requests about runs. Every method needs a Grant and raises like `Access.read`."""

    def __init__(self, rest: RestApi, access: Access) -> None:
        self._rest, self._access = rest, access

    @property
    def is_missing(self) -> bool:
        """Whether this Forgejo was recently seen to have no list of runs (before v12)."""
        return self._rest.lacks(RUNS)

    def runs(self, grant: Grant, filters: Mapping[str, str | Sequence[str]], page: int, limit: int) -> RunPage | None:
        """One page of the runs that match Forgejo's own filters; None before v12."""
        response = self._ask(grant, RUNS, {**filters, "page": str(page), "limit": str(limit)})
        if response is None:
            return None
        answer = response.json()
        runs = tuple(map(api_objects.listed_run, api_objects.run_list(answer)))
        total = answer.get("total_count")
        return RunPage(runs, total if isinstance(total, int) else 0)

    def details(self, grant: Grant, number: int) -> RunDetails:
        """The API's details of one run; before v12 only its event, if one of the newest tasks shows it."""
        if grant.lists_runs:
            return self._access.read(grant.caller, grant.repo, number).details or RunDetails()
        return RunDetails(event=(self.events(grant) or {}).get(number))

    def listed_event(self, grant: Grant, number: int) -> str | None:
        """The event of a run by the API's list; None before v12."""
        details = self._access.read(grant.caller, grant.repo, number).details
        return details.event if details else None

    def events(self, grant: Grant, most_pages: int = 1) -> Mapping[int, str] | None:
        """The events of runs by run number, as far as the newest tasks show them; None before v9."""
        found: dict[int, str] = {}
        for page in range(1, most_pages + 1):
            response = self._ask(grant, TASKS, {"page": str(page), "limit": str(MOST_PER_PAGE)})
            if response is None:
                return None
            tasks = api_objects.run_list(response.json())
            found |= {
                task["run_number"]: task["event"] for task in tasks if task.get("run_number") and task.get("event")
            }
            if len(tasks) < MOST_PER_PAGE:
                break
        return found

    def task_counts(self, grant: Grant, number: int) -> TaskCounts | None:
        """How many tasks each job of a run has had; None before v9."""
        created = self.details(grant, number).created_at if grant.lists_runs else None
        found: Counter[str] = Counter()
        for page in range(1, MOST_TASK_PAGES + 1):
            response = self._ask(grant, TASKS, {"page": str(page), "limit": str(MOST_PER_PAGE)})
            if response is None:
                return None
            tasks = api_objects.run_list(response.json())
            found.update(str(task.get("name")) for task in tasks if task.get("run_number") == number)
            oldest = time(tasks[-1].get("created_at")) if tasks else None
            if len(tasks) < MOST_PER_PAGE or (created and oldest and oldest < created):  # the newest task comes first
                return TaskCounts(found, True)
        return TaskCounts(found, False)

    def number_of(self, grant: Grant, run_id: int) -> int | None:
        """The number of the run with this database id, if it belongs to this repository (v12 and later)."""
        if self.is_missing:
            return None
        try:
            response = self._ask(grant, f"{RUNS}/{run_id}")
        except NotFound:
            return None
        found = response.json().get("index_in_repo") if response else None
        return found if isinstance(found, int) and found > 0 else None

    def user_id(self, grant: Grant, name: str) -> int | None:
        """An account's database id, or None if Forgejo does not show it to the caller."""
        if not is_name(name):
            return None
        response = self._rest.get(grant.caller, f"/users/{name}")
        found = json_object(response).get("id") if response.status == 200 else None
        return found if isinstance(found, int) and found > 0 else None

    def _ask(self, grant: Grant, tail: str, query: QueryValues | None = None) -> Response | None:
        """A GET below the repository; None where this version has no such route."""
        try:
            return self._rest.probe_repo(grant.caller, grant.repo, tail, query=query).response
        except RouteMissing:
            return None


def hook_events(event: str) -> Sequence[str]:
    """The webhook events that may stand for a workflow's event."""
    return HOOK_EVENTS if event.startswith(("issue", "pull_request")) else OTHER_HOOK_EVENTS.get(event, (event,))
