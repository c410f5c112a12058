"""The parser of runs in the REST API's JSON (v12 and later). Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from addon.errors import UpstreamUnexpected
from addon.forgejo.parsers.values import changed, run_link, status, time
from addon.model import Artifact, Job, JobDetail, Repo, Run, RunDetails, Status


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
        stopped = time(run.get("stopped"))
        nanoseconds = run.get("duration", 0)
        return RunDetails(
            id=int(run["id"]),
            event=_event(run),
            actor=(run["trigger_user"] or {}).get("login"),
            created_at=time(run["created"]),
            updated_at=time(run["updated"]),
            started_at=time(run.get("started")),
            stopped_at=stopped,
            duration_seconds=nanoseconds / 1e9 if nanoseconds > 0 or (stopped and not nanoseconds) else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise changed("API object of a run", error) from None


def run(repo: Repo, answer: Mapping[str, Any], jobs: Any) -> Run:
    """A run by its own object and the list of its jobs (v16 and later). It has no job in detail."""
    try:
        found = tuple(job(index, each) for index, each in enumerate(jobs))
        link = run_link(urlsplit(answer["html_url"]).path)
        state = status(answer["status"])
        return Run(
            repo=repo,
            number=int(answer["index_in_repo"]),
            id=int(answer["id"]),
            sub_path=link.sub_path,
            title=answer["title"],
            status=state,
            finished=state.done,
            workflow_id=answer["workflow_id"],
            head_branch=answer["prettyref"] or None,
            head_sha=answer["commit_sha"] or None,
            actor=(answer["trigger_user"] or {}).get("login"),
            can_rerun=True,
            can_cancel=any(not job.status.done for job in found),
            jobs=found,
            detail=JobDetail(0, found[0].name if found else "", (), None, None),
            details=run_details(answer),
            rerun_deletes_artifacts=True,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise changed("API object of a run", error) from None


def job(index: int, job: Mapping[str, Any]) -> Job:
    """A job of the API's list (v16 and later)."""
    state = status(job["status"])
    return Job(
        index=index,
        id=int(job["id"]),
        name=str(job["name"]),
        status=state,
        duration_seconds=None,
        can_rerun=state.done,
        attempt=int(job["attempt"]) or None,
        needs=tuple(job["needs"] or ()),
        runs_on=tuple(job["runs_on"] or ()),
    )


def artifact(answer: Mapping[str, Any]) -> Artifact:
    """An artifact of the API's list (v16 and later)."""
    try:
        state = "expired" if answer["expired"] else "completed"
        return Artifact(str(answer["name"]), int(answer["size_in_bytes"]), state)
    except (KeyError, TypeError, ValueError) as error:
        raise changed("API object of an artifact", error) from None


def step_times(job: Mapping[str, Any]) -> list[tuple[datetime | None, datetime | None]]:
    """Start and end of each step of a job, by the job's own object (v17 and later); none before a runner took it."""
    try:
        return [(time(step.get("started")), time(step.get("stopped"))) for step in job.get("steps") or ()]
    except (TypeError, AttributeError) as error:
        raise changed("API object of a job", error) from None


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
