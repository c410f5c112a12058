"""The parser of runs in the REST API's JSON (v12 and later). Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from addon.errors import UpstreamUnexpected
from addon.forgejo.parsers.values import changed, status, time
from addon.model import RunDetails, Status


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run of the API's list; `event` is the workflow's event."""

    number: int
    workflow_id: str
    status: Status
    head_branch: str
    head_sha: str
    actor: str | None
    event: str | None


def run_list(answer: Any) -> list[Mapping[str, Any]]:
    """The objects in the API's lists of runs and of tasks. Raises UpstreamUnexpected."""
    if not isinstance(answer, dict):
        raise UpstreamUnexpected("Forgejo's API answered JSON that is no object")
    runs = answer.get("workflow_runs")
    if runs is None and answer.get("total_count") is not None:
        return []
    if not isinstance(runs, list):
        raise UpstreamUnexpected("Forgejo's API list has no workflow_runs")
    return runs


def run_details(run: Mapping[str, Any]) -> RunDetails:
    """The details of a run. Raises UpstreamUnexpected."""
    try:
        stopped = time(run["stopped"])
        nanoseconds = run.get("duration", 0)
        return RunDetails(
            id=int(run["id"]),
            event=_event(run),
            actor=(run["trigger_user"] or {}).get("login"),
            created_at=time(run["created"]),
            updated_at=time(run["updated"]),
            started_at=time(run["started"]),
            stopped_at=stopped,
            duration_seconds=nanoseconds / 1e9 if nanoseconds > 0 or (stopped and not nanoseconds) else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise changed("API object of a run", error) from None


def listed_run(run: Mapping[str, Any]) -> ListedRun:
    """A run of the list. Raises UpstreamUnexpected."""
    try:
        return ListedRun(
            number=int(run["index_in_repo"]),
            workflow_id=run["workflow_id"],
            status=status(run["status"]),
            head_branch=run["prettyref"],
            head_sha=run["commit_sha"],
            actor=(run["trigger_user"] or {}).get("login"),
            event=_event(run),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise changed("API object of a run", error) from None


def _event(run: Mapping[str, Any]) -> str | None:
    """The workflow's event. The field `event` alone would be empty for a schedule or a dispatch."""
    return run["trigger_event"] or run["event"] or None
