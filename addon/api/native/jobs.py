"""Responses with jobs: Forgejo 17's object ActionRunJob."""

from __future__ import annotations

from collections.abc import Sequence

from werkzeug.wrappers import Response

from addon.actions.by_id.jobs import JobById, TimedStep
from addon.api.native.responses import as_json
from addon.api.responses import Json, timestamp

# No page of Forgejo's shows these.
NEVER_TOLD = ("handle", "needs", "runs_on")


def one(found: JobById) -> Response:
    """One job, with its steps if a runner has taken it."""
    job = _job(found)
    if found.steps is not None:
        job["steps"] = [_step(number, step) for number, step in enumerate(found.steps)]
    return as_json(job, unknown=_unknown([found]))


def of_run(found: Sequence[JobById]) -> Response:
    """The jobs of a run: a bare array."""
    return as_json([_job(each) for each in found], unknown=_unknown(found))


def _job(found: JobById) -> Json:
    ids, job = found.ids, found.job
    attempt = f"/attempt/{found.attempt}" if found.attempt else ""
    return {
        "id": job.id,
        "run_id": ids.id,
        "attempt": found.attempt or 0,
        "handle": "",
        "repo_id": ids.repo_id,
        "owner_id": ids.owner_id,
        "name": job.name,
        "html_url": f"{ids.html_url}/jobs/{job.index}{attempt}",
        "needs": None,
        "runs_on": None,
        "task_id": found.task_id,
        "status": job.status,
        **(found.native or {}),
    }


def _step(number: int, timed: TimedStep) -> Json:
    """A step. Forgejo counts from 0, which is "Set up job"."""
    return {
        "number": number,
        "name": timed.step.name,
        "status": timed.step.status,
        "started": timestamp(timed.started),
        "stopped": timestamp(timed.stopped),
    }


def _unknown(found: Sequence[JobById]) -> tuple[str, ...]:
    if not found or all(each.native for each in found):
        return ()
    return NEVER_TOLD if all(each.attempt for each in found) else ("attempt", *NEVER_TOLD)
