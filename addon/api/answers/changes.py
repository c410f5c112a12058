"""Reruns and cancels as answers: what was set in motion or stopped, and where to watch it."""

from __future__ import annotations

import logging

from flask import Response

from addon.actions.changes import Cancel, Rerun
from addon.actions.finding.find_job import job_index
from addon.actions.service import Service, Timings
from addon.api.answers.render import Json
from addon.api.links import Links
from addon.api.parameters import ALL, FAILED
from addon.api.responses import as_json, links
from addon.api.routes import Query
from addon.caller import Caller
from addon.model import Job, Run, Status

log = logging.getLogger("addon")


def rerun(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    """201 with what moves, and where to watch it; of a dry run 200 with what would be asked for."""
    run = service.run_to_change(query, caller, timings)
    job = None if query.job in (None, ALL) else FAILED if query.job == FAILED else job_index(run, query.job)
    with timings.part("forgejo"):
        done = service.changes.rerun(run, job, query.keep_artifacts is not None, query.dry_run)
    urls = links()
    if done.dry_run:
        return as_json(_rerun(done, job, urls))
    log.info("rerun of %s run %d, job %s", run.repo, run.number, "all" if job is None else job)
    response = as_json(_rerun(done, job, urls), 201)
    response.headers["Location"] = urls.api(run)
    return response


def cancel(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    """200 with the jobs that were stopped, or would be."""
    run = service.run_to_change(query, caller, timings)
    with timings.part("forgejo"):
        done = service.changes.cancel(run, query.dry_run)
    if not done.dry_run:
        log.info("cancel of %s run %d", run.repo, run.number)
    return as_json(_cancel(done, links()))


def _rerun(done: Rerun, job: int | str | None, urls: Links) -> Json:
    """`jobs` are those that move: asked for, or needing one that was. Of a dry run only the former are known."""
    asked = {each.index for each in done.asked}
    moving = [each for each in done.after.jobs if not each.status.done]
    shown = list(done.asked) if done.dry_run else moving
    return {
        **_state(done.after, done.dry_run, urls),
        "job": job,
        "attempt": next((done.attempts[index] for index in sorted(done.attempts)), None),
        "jobs": [
            {
                **_job(each, done.before),
                "asked": done.whole or each.index in asked,
                "attempt": done.attempts.get(each.index),
            }
            for each in shown
        ],
        "skipped_jobs": [_job(each, done.before) for each in done.after.jobs if each.status is Status.SKIPPED],
        "refused_jobs": [
            {**_job(done.after.jobs[index], done.before), "message": why} for index, why in done.refused.items()
        ],
        "artifacts_deleted": [{"name": each.name, "size_in_bytes": each.size} for each in done.artifacts_deleted],
    }


def _cancel(done: Cancel, urls: Links) -> Json:
    return {
        **_state(done.after, done.dry_run, urls),
        "jobs": [_job(done.after.jobs[each.index], done.before) for each in done.jobs],
    }


def _state(run: Run, dry_run: bool, urls: Links) -> Json:
    return {
        "run_number": run.number,
        "id": run.id,
        "status": run.status,
        "done": run.done,
        "dry_run": dry_run,
        "html_url": urls.html(run),
        "watch_url": urls.api(run),
        "jobs_url": urls.api(run, "/jobs"),
        "logs_url": urls.api(run, "/logs"),
    }


def _job(job: Job, before: Run) -> Json:
    was = before.jobs[job.index].status if job.index < len(before.jobs) else None
    return {"index": job.index, "id": job.id, "name": job.name, "status": job.status, "previous_status": was}
