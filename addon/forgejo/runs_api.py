"""What Forgejo's REST API tells of a repository's runs, asked with the credentials of the caller it was granted to.

Its list of runs (v12 and later) has traps: before v15 it is in no order, and it filters by the webhook's word for an
event, of which several stand for one of the workflow's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from addon.errors import NotFound, UpstreamUnexpected
from addon.forgejo.access import Access, Grant, list_of_runs
from addon.forgejo.pages import run_page
from addon.model import Status

RUNS, TASKS = "/actions/runs", "/actions/tasks"
MOST_PER_PAGE = 50
# The webhook's words for what a workflow calls pull_request, issues, issue_comment and the like.
HOOK_EVENTS = (
    "issues", "issue_assign", "issue_label", "issue_milestone", "issue_comment", "pull_request", "pull_request_assign",
    "pull_request_label", "pull_request_milestone", "pull_request_comment", "pull_request_review_approved",
    "pull_request_review_rejected", "pull_request_review_comment", "pull_request_sync", "pull_request_review_request",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run of the API's list; `event` is the workflow's word."""

    number: int
    workflow_id: str
    status: Status
    head_branch: str
    head_sha: str
    actor: str | None
    event: str | None


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of the API's list, and how many runs there are in all that fit."""

    runs: tuple[ListedRun, ...]
    total: int


class Rest:
    """Questions about repositories that access was granted for. They raise as `Access.read` does."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def runs(self, grant: Grant, filters: Mapping[str, str | Sequence[str]], page: int, limit: int) -> RunPage | None:
        """A page of runs by Forgejo's own filters; None before v12."""
        answer = self._access.ask_on(grant, RUNS, {**filters, "page": str(page), "limit": str(limit)})
        if answer is None:
            return None
        total = answer.json().get("total_count")
        return RunPage(tuple(_listed(run) for run in list_of_runs(answer)), total if isinstance(total, int) else 0)

    def events(self, grant: Grant, most_pages: int = 1) -> Mapping[int, str] | None:
        """What triggered runs, by their number, as far as the newest tasks tell; None before v9."""
        found: dict[int, str] = {}
        for page in range(1, most_pages + 1):
            answer = self._access.ask_on(grant, TASKS, {"page": str(page), "limit": str(MOST_PER_PAGE)})
            if answer is None:
                return None
            tasks = list_of_runs(answer)
            found |= {
                task["run_number"]: task["event"] for task in tasks if task.get("run_number") and task.get("event")
            }
            if len(tasks) < MOST_PER_PAGE:
                break
        return found

    def event(self, grant: Grant, number: int) -> str | None:
        """What triggered a run, where runs aren't listed; None if the newest tasks don't tell."""
        return (self.events(grant) or {}).get(number)

    def number_of(self, grant: Grant, run_id: int) -> int | None:
        """The number of the run that has this database id, if it is one of this repository (v12 and later)."""
        if self._access.lacks(RUNS):
            return None
        try:
            answer = self._access.ask_on(grant, f"{RUNS}/{run_id}")
        except NotFound:
            return None
        found = answer.json().get("index_in_repo") if answer else None
        return found if isinstance(found, int) and found > 0 else None


def hook_events(event: str) -> Sequence[str]:
    """The webhook's words that may stand for a workflow's event."""
    return HOOK_EVENTS if event.startswith(("issue", "pull_request")) else (event,)


def _listed(run: Mapping[str, Any]) -> ListedRun:
    try:
        return ListedRun(
            number=int(run["index_in_repo"]),
            workflow_id=run["workflow_id"],
            status=run_page.status(run["status"]),
            head_branch=run["prettyref"],
            head_sha=run["commit_sha"],
            actor=(run["trigger_user"] or {}).get("login"),
            event=run["trigger_event"] or run["event"] or None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UpstreamUnexpected("Forgejo's API object of a run lacks or changed a field") from None
