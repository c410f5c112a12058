"""Reruns as each version does them, with what they leave undone."""

from __future__ import annotations

from tests.double.model import Job, Run, Status
from tests.double.view import run_seconds
from tests.double.world import World


class RefusedError(Exception):
    """The answer is a 400 with this key of a localized message."""


def rerun(world: World, run: Run, job: Job | None) -> int:
    """Sets the run, or a job and its dependents, in motion. Returns the attempt that the answer names.

    Before v15 what is not done is silently left alone. Raises RefusedError.
    """
    with world.lock:
        if run.workflow_id in run.repo.disabled_workflows:
            raise RefusedError("workflow_disabled")
        if world.version.rerun_guards:
            if run.pre_execution_error or (job is None and not run.done):
                raise RefusedError("rerun_impossible")
            if job is not None and not job.status.done:
                raise RefusedError("job_rerun_impossible")
        target = job or run.jobs[0]
        named = target.attempt + 1
        if run.status.done:
            run.previous_duration = run_seconds(world, run)
            run.started = run.stopped = 0
        if job is None:
            for each in run.jobs:
                _reset(world, each, blocked=bool(each.spec.needs))
        else:
            for each in _affected(world, job):
                _reset(world, each, blocked=each is not job)
        if world.version.rerun_guards:
            run.artifacts.clear()
        world.update_run(run)
        return named


def _reset(world: World, job: Job, blocked: bool) -> None:
    if not job.status.done:
        if not world.version.rerun_guards:
            return
        world.cancel_job(job)
    job.status = Status.BLOCKED if blocked else Status.WAITING
    job.task, job.started, job.stopped = None, 0, 0
    if world.version.attempt_at_creation:
        job.attempt += 1


def _affected(world: World, job: Job) -> list[Job]:
    """The job and its dependents by workflow key: of a matrix only the first is found. From v15 on in one pass, so that
    a dependent listed before its need is missed."""
    found, keys = [job], {job.spec.key}
    while True:
        before = len(found)
        for each in job.run.jobs:
            if each.spec.key not in keys and keys & set(each.spec.needs):
                found.append(each)
                keys.add(each.spec.key)
        if world.version.rerun_guards or len(found) == before:
            return found
