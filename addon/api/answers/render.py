"""The model as the JSON that is answered. Names are those that Forgejo's own objects and GitHub's share."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from addon.actions.finding.listing import Listing
from addon.actions.summary import Explanation, FailedJob, Found
from addon.api.links import Addressed, Links
from addon.forgejo.pages.run_list import Row
from addon.model import Artifact, Job, JobDetail, Run, Status, Step

Json = dict[str, Any]


def run(run: Run, links: Links) -> Json:
    """A run; `conclusion` and `completed_at` are null until it is done."""
    details = run.details
    return {
        "id": run.id if run.id is not None else details.id,
        "run_number": run.number,
        "display_title": run.title,
        "status": run.status,
        "conclusion": run.status if run.done else None,
        "done": run.done,
        "event": details.event,
        "workflow_id": run.workflow_id,
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "actor": details.actor or run.actor,
        **_links(run, links),
        "created_at": _time(details.created_at),
        "updated_at": _time(details.updated_at),
        "run_started_at": _time(details.started_at),
        "completed_at": _time(details.stopped_at) if run.done else None,
        "duration_seconds": details.duration_seconds,
        "can_rerun": run.can_rerun and run.done,
        "can_cancel": run.cancellable,
    }


def jobs(run: Run, details: Mapping[int, JobDetail], links: Links, only: int | None = None) -> Json:
    """The run's jobs, or `only` one; steps and attempts where `details` has the job's own page.

    `done` tells of the run, or of the only job.
    """
    chosen = _chosen(run, only)
    return {
        "total_count": len(chosen),
        "done": run.done if only is None else run.jobs[only].status.done,
        "jobs": [_job(run, job, details.get(job.index), links) for job in chosen],
    }


def job(run: Run, links: Links) -> Json:
    """The job that the run shows in detail."""
    job = run.jobs[run.detail.index]
    return {**_job(run, job, run.detail, links), "done": job.status.done}


def attempts(run: Run, details: Mapping[int, JobDetail], links: Links, only: int | None = None) -> Json:
    """Each job's attempts, the first one first."""
    chosen = _chosen(run, only)
    return {
        "total_count": len(chosen),
        "jobs": [
            {
                "index": job.index,
                "id": job.id,
                "name": job.name,
                "status": job.status,
                "attempts": [
                    {
                        "number": attempt.number,
                        "status": attempt.status,
                        "conclusion": attempt.status if attempt.status.done else None,
                        "started_at": _time(attempt.started_at),
                        "html_url": links.html(run, f"/jobs/{job.index}/attempt/{attempt.number}"),
                        "logs_url": links.api(run, f"/logs?job={job.index}&attempt={attempt.number}"),
                    }
                    for attempt in details[job.index].attempts or ()
                ],
            }
            for job in chosen
        ],
    }


def runs(listing: Listing, links: Links) -> Json:
    """A page of runs, each like a run; what the list doesn't tell is null."""
    each = [run(one, links) if isinstance(one, Run) else _row(one, listing.events, links) for one in listing.runs]
    return {"total_count": listing.total, "workflow_runs": each}


def _row(row: Row, events: Mapping[int, str], links: Links) -> Json:
    return {
        "id": None,
        "run_number": row.number,
        "display_title": row.title,
        "status": row.status,
        "conclusion": row.status if row.status.done else None,
        "done": row.status.done,
        "event": events.get(row.number),
        "workflow_id": row.workflow_id,
        "head_branch": row.head_branch,
        "head_sha": row.head_sha,
        "actor": row.actor,
        **_links(row, links),
        "created_at": None,
        "updated_at": _time(row.updated_at),
        "run_started_at": None,
        "completed_at": None,
        "duration_seconds": row.duration_seconds,
        "can_rerun": None,
        "can_cancel": None,
    }


def _links(run: Addressed, links: Links) -> Json:
    return {
        "html_url": links.html(run),
        "jobs_url": links.api(run, "/jobs"),
        "logs_url": links.api(run, "/logs"),
        "rerun_url": links.api(run, "/rerun"),
    }


def _chosen(run: Run, only: int | None) -> list[Job]:
    return [job for job in run.jobs if only in (None, job.index)]


def summary(found: Explanation, links: Links) -> Json:
    """The run, its jobs, how many are in which state, why it failed, what it left, and what can be done next."""
    run_ = found.run
    counts = Counter(str(job.status) for job in run_.jobs)
    took = [job.duration_seconds for job in run_.jobs if job.duration_seconds is not None]
    return {
        "run": run(run_, links),
        **jobs(run_, found.details, links),
        "counts": {str(status): counts[str(status)] for status in Status if counts[str(status)]},
        "duration_seconds": run_.details.duration_seconds,
        "jobs_duration_seconds": sum(took) if took else None,
        "failed_jobs": [_failed_job(run_, each, found.details.get(each.job.index), links) for each in found.failed],
        "failed_jobs_explained": found.explained,
        "annotations": [_annotation(each) for each in found.annotations],
        "annotations_found": found.annotations_found,
        "artifacts": artifact_list(run_, found.artifacts, links),
        "next": {
            "can_rerun": run_.can_rerun and run_.done,
            "can_rerun_failed": run_.can_rerun and run_.done and bool(found.failed),
            "can_cancel": run_.cancellable,
            "rerun_deletes_artifacts": run_.rerun_deletes_artifacts,
            "rerun_url": links.api(run_, "/rerun"),
            "rerun_failed_url": links.api(run_, "/rerun?job=failed"),
            "cancel_url": links.api(run_, "/cancel"),
        },
    }


def _failed_job(run: Run, failed: FailedJob, detail: JobDetail | None, links: Links) -> Json:
    steps = [
        {
            **_step(each.step),
            "lines": each.lines,
            "lines_total": each.total,
        }
        for each in failed.steps
    ]
    return {
        "index": failed.job.index,
        "name": failed.job.name,
        "explained": failed.explained,
        "failed_steps": steps if failed.explained else None,
        "last_lines": failed.last_lines,
        "problem": failed.problem,
        "logs_url": _logs_url(run, failed.job, detail, links),
    }


def _annotation(found: Found) -> Json:
    return {**asdict(found.annotation), "job_index": found.job.index, "job_name": found.job.name, "step": found.step}


def artifacts(run: Run, found: Iterable[Artifact], links: Links) -> Json:
    """The run's artifacts."""
    listed = artifact_list(run, found, links)
    return {"total_count": len(listed), "artifacts": listed}


def artifact_list(run: Run, found: Iterable[Artifact], links: Links) -> list[Json]:
    """Each artifact, with where to get it until it expires."""
    return [
        {
            "name": each.name,
            "size_in_bytes": each.size,
            "status": each.status,
            "expired": each.expired,
            "archive_download_url": None if each.expired else _download_url(run, each, links),
        }
        for each in found
    ]


def _download_url(run: Run, artifact: Artifact, links: Links) -> str | None:
    """None for the two names that no URL can hold."""
    if artifact.name in (".", ".."):
        return None
    return links.api(run, f"/artifacts/{quote(artifact.name, safe='', errors='replace')}")


def zip_name(artifact: str) -> str:
    """The file name for Content-Disposition, plain and as UTF-8: no folder, no control, no mark that hides its end."""
    safe = "".join("_" if each in '/\\"' or unicodedata.category(each)[0] == "C" else each for each in artifact)
    name = safe if safe.lower().endswith(".zip") else f"{safe}.zip"
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _job(run: Run, job: Job, detail: JobDetail | None, links: Links) -> Json:
    attempts = None if detail is None or detail.attempts is None else detail.attempts
    shown = next((each for each in attempts or () if detail and each.number == detail.attempt), None)
    # A job's own state is that of its newest attempt; an older attempt has a state of its own.
    newest = attempts is None or shown is None or shown is attempts[-1]
    status = job.status if newest or shown is None else shown.status
    return {
        "index": job.index,
        "id": job.id,
        "run_id": run.id if run.id is not None else run.details.id,
        "run_number": run.number,
        "name": job.name,
        "status": status,
        "conclusion": status if status.done else None,
        "attempt": detail.attempt if detail else None,
        "attempts": len(attempts) if attempts else None,
        "started_at": _time(shown.started_at) if shown else None,
        "completed_at": None,
        "duration_seconds": job.duration_seconds if newest else None,
        "needs": None,
        "runs_on": None,
        "steps": _steps_of(detail) if detail else None,
        "html_url": links.html(run, _job_path(job, detail)),
        "logs_url": _logs_url(run, job, detail, links),
    }


def _steps_of(detail: JobDetail) -> list[Json]:
    """With the lines of the job's log that each step wrote, counted from 1; null for none, and where not counted."""
    lengths = detail.step_lengths or (0,) * len(detail.steps)
    ends = itertools.accumulate(lengths)
    return [
        {**_step(step), "log_lines": {"first": end - length + 1, "last": end} if length else None}
        for step, length, end in zip(detail.steps, lengths, ends, strict=True)
    ]


def _step(step: Step) -> Json:
    return {
        "number": step.number,
        "name": step.name,
        "status": step.status,
        "conclusion": step.status if step.status.done else None,
        "started_at": None,
        "duration_seconds": step.duration_seconds,
    }


def _job_path(job: Job, detail: JobDetail | None) -> str:
    attempt = f"/attempt/{detail.attempt}" if detail and detail.attempt else ""
    return f"/jobs/{job.index}{attempt}"


def _logs_url(run: Run, job: Job, detail: JobDetail | None, links: Links) -> str:
    attempt = f"&attempt={detail.attempt}" if detail and detail.attempt else ""
    return links.api(run, f"/logs?job={job.index}{attempt}")


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
