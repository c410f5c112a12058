"""Responses about jobs: all of a run, one, and attempts."""

from __future__ import annotations

from werkzeug.wrappers import Response

from addon.actions.jobs import JobList, ReadJobs
from addon.actions.query import Query
from addon.api import request
from addon.api.links import Links
from addon.api.paging import with_pages
from addon.api.responses import Json, as_json, timestamp
from addon.caller import Caller
from addon.model import Job, JobDetail, LineRange, Run, Step


def jobs(use_case: ReadJobs, query: Query, caller: Caller) -> Response:
    """All jobs, or with `job` one."""
    found = use_case.list(query, caller, request.is_disconnected())
    return with_pages(as_json(jobs_json(found, request.links()), run=found.run), query, len(found.chosen))


def job(use_case: ReadJobs, query: Query, caller: Caller) -> Response:
    """One job in detail."""
    run = use_case.one(query, caller, request.is_disconnected())
    job = run.jobs[run.detail.index]
    return as_json({**_job(run, job, run.detail, request.links()), "done": job.status.done}, run=run)


def attempts(use_case: ReadJobs, query: Query, caller: Caller) -> Response:
    """Each job's attempts, the first one first."""
    found, urls = use_case.attempts(query, caller, request.is_disconnected()), request.links()
    total = len(found.chosen)
    listed = {"total_count": total, "jobs": [_attempts(found, job, urls) for job in found.shown]}
    return with_pages(as_json(listed, run=found.run), query, total)


def jobs_json(found: JobList, links: Links) -> Json:
    """A list of jobs. `done` is about the run, or about the only job. Steps and attempts are null if not read."""
    run, only = found.run, found.only
    return {
        "total_count": len(found.chosen),
        "done": run.done if only is None else run.jobs[only].status.done,
        "jobs": [_job(run, job, found.details.get(job.index), links) for job in found.shown],
    }


def step_json(step: Step) -> Json:
    """A step."""
    return {
        "number": step.number,
        "name": step.name,
        "status": step.status,
        "conclusion": step.status if step.status.done else None,
        "started_at": timestamp(step.started_at),
        "duration_seconds": step.duration_seconds,
    }


def logs_url(run: Run, job: Job, detail: JobDetail | None, links: Links) -> str:
    """The URL of a job's log. It names the attempt: otherwise it would mean another one than the job's status."""
    attempt = detail.attempt if detail and detail.attempt else "latest"
    return links.api(run, f"/logs?job={job.index}&attempt={attempt}")


def _attempts(found: JobList, job: Job, links: Links) -> Json:
    run = found.run
    return {
        "index": job.index,
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "attempts": [
            {
                "number": attempt.number,
                "status": attempt.status,
                "conclusion": attempt.status if attempt.status.done else None,
                "started_at": timestamp(attempt.started_at),
                "html_url": links.html(run, f"/jobs/{job.index}/attempt/{attempt.number}"),
                "logs_url": links.api(run, f"/logs?job={job.index}&attempt={attempt.number}"),
            }
            for attempt in found.details[job.index].attempts or ()
        ],
    }


def _job(run: Run, job: Job, detail: JobDetail | None, links: Links) -> Json:
    attempts = None if detail is None or detail.attempts is None else detail.attempts
    shown = next((each for each in attempts or () if detail and each.number == detail.attempt), None)
    # The job's own state is that of its newest attempt. An earlier attempt has a state of its own.
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
        "attempt": detail.attempt if detail else job.attempt,
        # Not how many are listed: Forgejo lists none that it ended without a runner.
        "attempts": attempts[-1].number if attempts else None,
        "started_at": timestamp(shown.started_at) if shown else None,
        "completed_at": timestamp(detail.steps[-1].stopped_at) if detail and detail.steps and status.done else None,
        "duration_seconds": job.duration_seconds if newest else None,
        "needs": None if job.needs is None else list(job.needs),
        "runs_on": None if job.runs_on is None else list(job.runs_on),
        "steps": _steps(detail) if detail else None,
        "html_url": links.html(run, _page(job, detail)),
        "logs_url": logs_url(run, job, detail, links),
    }


def _steps(detail: JobDetail) -> list[Json]:
    """Steps with their lines of the job's log, counted from 1; null if there are none or their place is unknown."""
    ranges = detail.step_ranges or (None,) * len(detail.steps)
    return [
        {**step_json(step), "log_lines": _log_lines(found)} for step, found in zip(detail.steps, ranges, strict=True)
    ]


def _log_lines(found: LineRange | None) -> Json | None:
    return {"first": found.first + 1, "last": found.first + found.count} if found and found.count else None


def _page(job: Job, detail: JobDetail | None) -> str:
    attempt = f"/attempt/{detail.attempt}" if detail and detail.attempt else ""
    return f"/jobs/{job.index}{attempt}"
