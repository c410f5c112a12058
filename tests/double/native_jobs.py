"""Jobs by database id: their logs since v16; one with its steps, reruns, and logs in part since v17."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.utils import formatdate

from flask import Response, request

from tests.double import answers, schema
from tests.double.api import ACTIONS, RefusalError, absent, failure, repository, routes, run_by_id, writable
from tests.double.context import context
from tests.double.model import Job, Repo, Run, Task
from tests.double.native import EXPIRED, NOT_EXECUTED, RUN, done
from tests.double.rerun import rerun
from tests.double.view import all_steps
from tests.double.web import number

JOB = f"{ACTIONS}/jobs/<job_id>"
TRUE = ("1", "t", "T", "true", "TRUE", "True", "on")


def job_by_id(repo: Repo, job_id: str) -> Job:
    wanted = number(job_id)
    found = next((job for run in repo.runs for job in run.jobs if job.id == wanted), None)
    if found is None:
        raise absent(f"run job with id {wanted}: resource does not exist")
    return found


@routes.get(JOB)
def native_17_job(owner: str, name: str, job_id: str) -> Response:
    ctx, repo, _ = repository(owner, name, "repo.actions")
    return answers.document(schema.job(ctx.world, job_by_id(repo, job_id), ctx.root, with_steps=True), api=True)


@routes.post(f"{RUN}/rerun")
def native_17_rerun_run(owner: str, name: str, run_id: str) -> Response:
    ctx, repo, _ = writable(owner, name, "repo.actions", archived_too=True)
    run = run_by_id(repo, run_id)
    _guard(run, None if run.done else "workflow is still running", running_first=True)
    rerun(ctx.world, run, None)
    return done()


@routes.post(f"{JOB}/rerun")
def native_17_rerun_job(owner: str, name: str, job_id: str) -> Response:
    ctx, repo, _ = writable(owner, name, "repo.actions", archived_too=True)
    job = job_by_id(repo, job_id)
    _guard(job.run, None if job.status.done else "job is still running", running_first=False)
    rerun(ctx.world, job.run, job)
    return done()


def _guard(run: Run, running: str | None, running_first: bool) -> None:
    invalid = "workflow is invalid" if run.pre_execution_error else None
    disabled = "workflow is disabled" if run.workflow_id in run.repo.disabled_workflows else None
    for message in (invalid, running, disabled) if running_first else (invalid, disabled, running):
        if message:
            raise RefusalError(failure(400, message))


@routes.get(f"{JOB}/logs")
def native_job_logs(owner: str, name: str, job_id: str) -> Response:
    """Of any attempt, also while a rerun waits. Before v17 always the whole log, whatever part was asked for."""
    ctx, repo, _ = repository(owner, name, "repo.actions")
    task = _task(job_by_id(repo, job_id))
    if task.expired:
        raise absent(EXPIRED)
    if task.log is None:
        return failure(500, "")
    part = ctx.version.native_rerun
    step = (request.args.get("step") or None) if part else None
    start, stop = _span(task, number(step)) if step is not None else (0, task.log.size)
    if part and (request.args.get("q") or request.args.get("format") == "ndjson"):
        name = f"job-{task.job.id}-attempt-{task.attempt}" + ("" if step is None else f"-step-{number(step)}")
        return _lines(b"".join(task.log.read(start, stop)), name)
    return _plain(task, start, stop)


def _task(job: Job) -> Task:
    if not request.args.get("attempt"):
        if job.task is None:
            raise absent(NOT_EXECUTED)
        return job.task
    wanted = number(request.args["attempt"])
    for task in job.tasks:
        if task.attempt == wanted:
            return task
    raise absent(f"task with job_id {job.id} and attempt {wanted}: resource does not exist")


def _span(task: Task, index: int) -> tuple[int, int]:
    """Where a step's lines begin and end, in bytes."""
    steps = all_steps(task, context().version)
    if not 0 <= index < len(steps):
        raise absent("step index out of range")
    assert task.log is not None
    step = steps[index]
    return task.log.offset(step.log_index), task.log.offset(step.log_index + step.log_length)


def _plain(task: Task, start: int, stop: int) -> Response:
    """As a file, of which a range can be asked for."""
    assert task.log is not None
    data = b"".join(task.log.read(start, stop)) if (start, stop) != (0, task.log.size) else None
    changed = {"Last-Modified": formatdate(task.updated, usegmt=True)}
    log = task.log if data is None else _Part(data)
    answer = answers.log_file(log, "", request.headers.get("Range", ""), changed)
    del answer.headers["Content-Disposition"], answer.headers["Access-Control-Expose-Headers"]
    return answer


class _Part:
    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        yield self._data[start:stop]


def _lines(data: bytes, name: str) -> Response:
    """The lines that were searched for, or all of them; there is no range of them and no length."""
    wanted, fold = request.args.get("q", ""), request.args.get("qi") in TRUE
    if fold:
        wanted = wanted.lower()
    pairs = [line.split(" ", 1) for line in data.decode(errors="replace").split("\n")[:-1]]
    found = [(at, text) for at, text in pairs if wanted in (text.lower() if fold else text)]
    if request.args.get("format") == "ndjson":
        rows = (json.dumps({"time": _moment(at), "content": text}, ensure_ascii=False) for at, text in found)
        kind = "application/x-ndjson"
    else:
        rows, kind = (f"{at} {text}" for at, text in found), "text/plain; charset=utf-8"
    answer = Response((f"{row}\n".encode() for row in rows), content_type=kind)
    answer.headers["Content-Disposition"] = f'inline; filename="{name}.log"'
    return answer


def _moment(stamp: str) -> str:
    """As Go's RFC3339Nano: without zeros at the end of the fraction."""
    return stamp.removesuffix("Z").rstrip("0").removesuffix(".") + "Z"
