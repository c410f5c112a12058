"""A run as the list of runs shows it, in the web UI."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from addon.model import Repo, Status


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as the list shows it. None is what the row does not show."""

    repo: Repo
    number: int
    sub_path: str
    title: str
    status: Status
    workflow_id: str | None
    head_branch: str | None
    head_sha: str | None
    actor: str | None
    updated_at: datetime | None
    duration_seconds: float | None

    @property
    def settled(self) -> bool:
        """Whether the icon alone tells the state.

        A failed or cancelled run may have jobs that still run (v11 and later); before v11 the two have one icon.
        """
        return self.status not in (Status.FAILURE, Status.CANCELLED)
