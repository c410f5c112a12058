"""What selects a run beside its number, and whether a run has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from addon.api.parameters import COMPLETED, Parameters
from addon.forgejo.pages.run_list import Row
from addon.forgejo.runs_api import ListedRun, hook_events
from addon.forgejo.web_ui import ListQuery
from addon.model import Run, Status

WHOLE_SHAS = (40, 64)
DONE = tuple(status for status in Status if status.done)


class _Seen(Protocol):
    """A run as any source shows it."""

    @property
    def head_branch(self) -> str | None: ...
    @property
    def head_sha(self) -> str | None: ...
    @property
    def actor(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Filters:
    """Each None takes any. `status` is a word of Status or `completed`, `head_sha` a hash or its first digits."""

    workflow_id: str | None = None
    branch: str | None = None
    event: str | None = None
    status: str | None = None
    actor: str | None = None
    head_sha: str | None = None

    @classmethod
    def of(cls, given: Parameters) -> Filters:
        """Those of a request."""
        return cls(**{each.name: getattr(given, each.name) for each in fields(cls)})

    def __bool__(self) -> bool:
        return self != Filters()

    def __str__(self) -> str:
        """As in a query, for messages."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return ", ".join(f"{name}={value}" for name, value in values if value is not None)

    @property
    def whole_sha(self) -> bool:
        """Whether `head_sha` is a whole hash, which Forgejo's API can look for."""
        return self.head_sha is not None and len(self.head_sha) in WHOLE_SHAS

    @property
    def lasting(self) -> bool:
        """Whether a run that doesn't fit never will: its status changes, and its event may become known."""
        return self.status is None and self.event is None

    def misfit(self, run: Run) -> str | None:
        """Why a run is not selected, event aside, as the end of a sentence; None if it is."""
        if self.workflow_id not in (None, run.workflow_id):
            return f"is of workflow {run.workflow_id}, not of {self.workflow_id}"
        if self.status == COMPLETED and not run.done:
            return f"is not completed but {run.status}"
        if self.status not in (None, COMPLETED, run.status):
            return f"has status {run.status}, not {self.status}"
        return self._other_origin(run)

    def fits_row(self, row: Row, actor_is_known: bool) -> bool:
        """Whether a row that the list page was asked for by `list_query` may be a run that fits, event aside."""
        if self.status == COMPLETED and not row.status.done:
            return False
        if self.status == Status.UNKNOWN and row.status not in (Status.UNKNOWN, Status.FAILURE):
            return False
        return self._other_origin(row, actor_is_known) is None

    def fits_listed(self, run: ListedRun) -> bool:
        """Whether a run of the API's list, whatever that was filtered by, fits."""
        statuses = self._statuses()
        return (
            self.workflow_id in (None, run.workflow_id)
            and (not statuses or run.status in statuses)
            and self.event in (None, run.event)
            and self._other_origin(run) is None
        )

    def list_query(self, actor_id: int | None) -> ListQuery:
        """What the list page filters by itself."""
        status = None if self.status in (None, COMPLETED, Status.UNKNOWN) else Status(str(self.status))
        return ListQuery(self.workflow_id, status, actor_id)

    @property
    def needs_rows(self) -> bool:
        """Whether rows of the list page must be looked through, for it does not filter by all of these."""
        return bool(self.branch or self.event or self.head_sha or self.status in (COMPLETED, Status.UNKNOWN))

    def api_query(self, ref: str | None = None) -> dict[str, str | Sequence[str]]:
        """What the API filters by itself; versions that don't know a parameter ignore it."""
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

    def refs(self) -> Sequence[str | None]:
        """The git references that `branch` may stand for."""
        if self.branch is None:
            return (None,)
        if self.branch.startswith("#"):
            return (f"refs/pull/{self.branch[1:]}/head",)
        return (f"refs/heads/{self.branch}", f"refs/tags/{self.branch}")

    def _statuses(self) -> Sequence[Status]:
        if self.status is None:
            return ()
        return DONE if self.status == COMPLETED else (Status(self.status),)

    def _other_origin(self, run: _Seen, actor_is_known: bool = False) -> str | None:
        if self.branch not in (None, run.head_branch):
            return f"is of {run.head_branch}, not of {self.branch}"
        if self.head_sha is not None and not (run.head_sha or "").startswith(self.head_sha):
            return f"is of commit {run.head_sha}, not of {self.head_sha}"
        if self.actor is not None and not actor_is_known and self.actor.lower() != (run.actor or "").lower():
            return f"was started by {run.actor}, not by {self.actor}"
        return None
