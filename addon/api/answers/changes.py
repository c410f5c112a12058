"""Responses to reruns and cancels: what was started or stopped, and where to watch it."""

from __future__ import annotations

import logging

from werkzeug.wrappers import Response

from addon.actions.cancel import Cancel, CancelRun
from addon.actions.finding.find_job import listed
from addon.actions.query import UNSUCCESSFUL, Query
from addon.actions.rerun import Rerun, RerunRun
from addon.api import request
from addon.api.links import Links
from addon.api.responses import Json, as_json
from addon.caller import Caller
from addon.model import Job, Run, Status

log = logging.getLogger("addon")


def rerun(use_case: RerunRun, query: Query, caller: Caller) -> Response:
    """201 with the jobs that are rerun and a Location to watch; for a dry run 200."""
    done = use_case.rerun(query, caller)
    run, urls = done.before, request.links()
    if done.dry_run:
        return as_json(_rerun(done, urls))
    log.info("rerun of %s run %d, job=%s", run.repo, run.number, "all" if done.job is None else done.job)
    response = as_json(_rerun(done, urls), 201)
    response.headers["Location"] = urls.api(run)
    return response


def cancel(use_case: CancelRun, query: Query, caller: Caller) -> Response:
    """200 with the jobs that were stopped, or that a dry run would stop."""
    done = use_case.cancel(query, caller)
    if not done.dry_run:
        log.info("cancel of %s run %d", done.before.repo, done.before.number)
    return as_json(_cancel(done, request.links()))


def _rerun(done: Rerun, urls: Links) -> Json:
    """`jobs` are all jobs that are rerun: those asked for and their dependents. A dry run knows only the former."""
    asked = {each.id for each in done.asked}
    started = [each for each in done.after.jobs if not each.status.done]
    shown = list(done.asked) if done.dry_run else started
    return {
        **_state(done.after, done.dry_run, urls),
        "job": done.job,
        "attempt": next((done.attempts[each.id] for each in done.after.jobs if each.id in done.attempts), None),
        "jobs": [
            {
                **_job(each, done.before),
                "asked": done.whole or each.id in asked,
                "attempt": done.attempts.get(each.id),
            }
            for each in shown
        ],
        "skipped_jobs": [_job(each, done.before) for each in done.after.jobs if each.status is Status.SKIPPED],
        "refused_jobs": [
            {**_job(each, done.before), "message": done.refused[each.id]}
            for each in done.after.jobs
            if each.id in done.refused
        ],
        "message": _left_out(done),
        "artifacts_deleted": [{"name": each.name, "size_in_bytes": each.size} for each in done.artifacts_deleted],
    }


def _left_out(done: Rerun) -> str | None:
    """What a rerun of the failed jobs does not include, and how to include it; None if there is no such job."""
    if not done.left_out:
        return None
    return f"not rerun, since they were cancelled: {listed(done.left_out)}; job={UNSUCCESSFUL} includes them"


def _cancel(done: Cancel, urls: Links) -> Json:
    return {
        **_state(done.after, done.dry_run, urls),
        "jobs": [_job(done.after.job(each.id) or each, done.before) for each in done.jobs],
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
        "logs_url": urls.logs(run),
    }


def _job(job: Job, before: Run) -> Json:
    previous = before.job(job.id)
    return {
        "index": job.index,
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "previous_status": previous.status if previous else None,
    }
