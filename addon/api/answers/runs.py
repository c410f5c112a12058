"""Responses about runs: one run, and the list of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from werkzeug.wrappers import Response

from addon.actions.finding.list_runs import ListRuns, RunListing
from addon.actions.query import PAGE_SIZE, Query
from addon.actions.waiting import Waiting
from addon.api import request
from addon.api.links import Links
from addon.api.paging import with_pages
from addon.api.responses import Json, as_json, timestamp
from addon.caller import Caller
from addon.model import Run
from addon.run_row import RunRow

# Fields of a run in Forgejo's API that its list page does not show.
UNKNOWN_FIELDS = (
    "repository", "ScheduleID", "is_ref_deleted", "is_fork_pull_request", "need_approval", "approved_by",
    "event_payload",
)  # fmt: skip


def info(waiting: Waiting, query: Query, caller: Caller) -> Response:
    """One run."""
    run = waiting.run_with_details(query, caller, request.is_disconnected())
    return as_json(run_json(run, request.links()), run=run)


def runs(use_case: ListRuns, query: Query, caller: Caller) -> Response:
    """One page of the list of runs, in place of Forgejo's own: with the names of its fields too."""
    return _list(use_case, query, caller, in_place_of_forgejo=True)


def numbered(use_case: ListRuns, query: Query, caller: Caller) -> Response:
    """One page of the list of runs, the same on every version."""
    return _list(use_case, query, caller, in_place_of_forgejo=False)


def _list(use_case: ListRuns, query: Query, caller: Caller, in_place_of_forgejo: bool) -> Response:
    query = replace(query, page=query.page or 1, limit=query.limit or PAGE_SIZE)
    found = use_case.page(query, caller, in_place_of_forgejo)
    told = _list_json(found, request.links())
    if in_place_of_forgejo:
        told["workflow_runs"] = [{**run, **_forgejos_fields(run)} for run in told["workflow_runs"]]
    return with_pages(as_json(told), query, found.total, found.more)


def run_json(run: Run, links: Links) -> Json:
    """A run. `conclusion` and `completed_at` are null until it is done."""
    details = run.details
    return {
        "id": run.id if run.id is not None else details.id,
        "run_number": run.number,
        "display_title": run.title,
        "status": run.status,
        "conclusion": run.status if run.done else None,
        "estimated_outcome": run.estimated_outcome,
        "done": run.done,
        "event": details.event,
        "workflow_id": run.workflow_id,
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "actor": details.actor or run.actor,
        **_links(run, links),
        "created_at": timestamp(details.created_at),
        "updated_at": timestamp(details.updated_at),
        "run_started_at": timestamp(details.started_at),
        "completed_at": timestamp(details.stopped_at) if run.done else None,
        "duration_seconds": details.duration_seconds,
        "rerunnable": run.can_rerun and run.done,
        "cancellable": run.cancellable,
        "workflow_error": asdict(run.workflow_error) if run.workflow_error else None,
        "workflow_warnings": run.workflow_warnings,
    }


def _list_json(listing: RunListing, links: Links) -> Json:
    """A page of runs in the shape of single runs. Fields that the list does not show are null."""
    each = [run_json(one, links) if isinstance(one, Run) else _row(one, listing.events, links) for one in listing.runs]
    return {"total_count": listing.total, "workflow_runs": each}


def _forgejos_fields(run: Json) -> Json:
    """What is known of a run, by the names of Forgejo 12 and later. The rest is null."""
    seconds = run["duration_seconds"]
    return {
        "title": run["display_title"],
        "index_in_repo": run["run_number"],
        "prettyref": run["head_branch"],
        "commit_sha": run["head_sha"],
        "trigger_event": run["event"],
        "trigger_user": {"login": run["actor"]} if run["actor"] else None,
        "created": run["created_at"],
        "started": run["run_started_at"],
        "stopped": run["completed_at"],
        "updated": run["updated_at"],
        "duration": None if seconds is None else int(seconds * 1e9),
        **dict.fromkeys(UNKNOWN_FIELDS),
    }


def _row(row: RunRow, events: Mapping[int, str], links: Links) -> Json:
    return {
        "id": None,
        "run_number": row.number,
        "display_title": row.title,
        "status": row.status,
        "conclusion": row.status if row.status.done else None,
        "estimated_outcome": row.status if row.status.done else None,
        "done": row.status.done,
        "event": events.get(row.number),
        "workflow_id": row.workflow_id,
        "head_branch": row.head_branch,
        "head_sha": row.head_sha,
        "actor": row.actor,
        **_links(row, links),
        "created_at": None,
        "updated_at": timestamp(row.updated_at),
        "run_started_at": None,
        "completed_at": None,
        "duration_seconds": row.duration_seconds,
        "rerunnable": None,
        "cancellable": None,
        "workflow_error": None,
        "workflow_warnings": None,
    }


def _links(run: Run | RunRow, links: Links) -> Json:
    return {
        "html_url": links.html(run),
        "jobs_url": links.api(run, "/jobs"),
        "logs_url": links.logs(run),
        "rerun_url": links.api(run, "/rerun"),
    }
