"""The filters that select a run, and whether a run matches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from addon.actions.query import COMPLETED, Parameters
from addon.forgejo.parsers.api_objects import ListedRun
from addon.forgejo.parsers.run_list import ListQuery
from addon.forgejo.runs_api import hook_events
from addon.model import Run, Status
from addon.run_row import RunRow

WHOLE_SHAS = (40, 64)
DONE = tuple(status for status in Status if status.done)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a request; None matches any run.

    `status` is a name in Status or COMPLETED, `head_sha` a hash or its first digits.
    """

    workflow_id: str | None = None
    branch: str | None = None
    event: str | None = None
    status: str | None = None
    actor: str | None = None
    head_sha: str | None = None

    @classmethod
    def of(cls, given: Parameters) -> Filters:
        """The filters of a request."""
        return cls(**{each.name: getattr(given, each.name) for each in fields(cls)})

    def __bool__(self) -> bool:
        return self != Filters()

    def __str__(self) -> str:
        """The filters as in a query, for messages."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return ", ".join(f"{name}={value}" for name, value in values if value is not None)

    @property
    def whole_sha(self) -> bool:
        """Whether `head_sha` is a complete hash, which Forgejo's API can filter by."""
        return self.head_sha is not None and len(self.head_sha) in WHOLE_SHAS

    @property
    def permanent(self) -> bool:
        """Whether a run that does not match now never will. A status changes, and an event may become known later."""
        return self.status is None and self.event is None

    @property
    def needs_caller(self) -> bool:
        """Whether a search for a new run asks Forgejo's API, with the caller's credentials."""
        return self.event is not None or self.actor is not None

    def mismatch(self, run: Run) -> str | None:
        """Why a run does not match, as the end of a sentence; None if it does. The event is not checked here."""
        if self.workflow_id not in (None, run.workflow_id):
            return f"is of workflow {run.workflow_id}, not of {self.workflow_id}"
        if self.status == COMPLETED and not run.done:
            return f"is not completed but {run.status}"
        if self.status not in (None, COMPLETED, run.status):
            return f"has status {run.status}, not {self.status}"
        return self._other_origin(run)

    def may_match_row(self, row: RunRow, actor_is_filtered: bool) -> bool:
        """Whether a row of the list page that was filtered by `list_query` may match. The event is not checked here."""
        if self.status == COMPLETED and not row.status.done:
            return False
        if self.status == Status.UNKNOWN and row.status not in (Status.UNKNOWN, Status.FAILURE):
            return False
        return self._other_origin(row, actor_is_filtered) is None

    def matches_listed(self, run: ListedRun) -> bool:
        """Whether a run of the API's list matches, whatever the list was filtered by."""
        statuses = self._statuses()
        return (
            self.workflow_id in (None, run.workflow_id)
            and (not statuses or run.status in statuses)
            and self.event in (None, run.event)
            and self._other_origin(run) is None
        )

    def list_query(self, actor_id: int | None) -> ListQuery:
        """The filters that the list page can apply itself."""
        status = None if self.status in (None, COMPLETED, Status.UNKNOWN) else Status(str(self.status))
        return ListQuery(self.workflow_id, status, actor_id)

    @property
    def needs_rows(self) -> bool:
        """Whether rows of the list page have to be searched, because the page can't apply all filters."""
        return bool(self.branch or self.event or self.head_sha or self.status in (COMPLETED, Status.UNKNOWN))

    def api_query(self, ref: str | None = None) -> dict[str, str | Sequence[str]]:
        """The filters that the API can apply itself. A version that doesn't know a parameter ignores it."""
        query: dict[str, str | Sequence[str]] = {}
        if self.event is not None:
            query["event"] = hook_events(self.event)
        if statuses := self._statuses():
            query["status"] = statuses
        if self.whole_sha:
            query["head_sha"] = str(self.head_sha)
        if self.workflow_id is not None:
            query["workflow_id"] = self.workflow_id
        if ref is not None:
            query["ref"] = ref
        return query

    @property
    def api_is_exact(self) -> bool:
        """Whether the API's list, since v15, holds only runs that match. A list of pushes holds scheduled runs too."""
        exact_event = self.event is None or (self.event != "push" and hook_events(self.event) == (self.event,))
        return exact_event and self.actor is None and (self.head_sha is None or self.whole_sha)

    def refs(self) -> Sequence[str | None]:
        """The git references that `branch` may mean; (None,) for any."""
        if self.branch is None:
            return (None,)
        if self.branch.startswith("#"):
            return (f"refs/pull/{self.branch[1:]}/head",)
        return (f"refs/heads/{self.branch}", f"refs/tags/{self.branch}")

    def _statuses(self) -> Sequence[Status]:
        if self.status is None:
            return ()
        return DONE if self.status == COMPLETED else (Status(self.status),)

    def _other_origin(self, run: Run | RunRow | ListedRun, actor_is_filtered: bool = False) -> str | None:
        if self.branch not in (None, run.head_branch):
            return f"is of {run.head_branch}, not of {self.branch}"
        if self.head_sha is not None and not (run.head_sha or "").startswith(self.head_sha):
            return f"is of commit {run.head_sha}, not of {self.head_sha}"
        if self.actor is not None and not actor_is_filtered and self.actor.lower() != (run.actor or "").lower():
            return f"was started by {run.actor}, not by {self.actor}"
        return None
