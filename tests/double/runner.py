"""The runner's service (Connect over JSON): a runner takes the world's waiting jobs and reports on them."""

from __future__ import annotations

import base64
import json
import secrets
from calendar import timegm
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request

from tests.double import answers
from tests.double.context import context
from tests.double.logs import TICKS, RowLog
from tests.double.model import Job, Run, Status, Task, User
from tests.double.world import World

routes = Blueprint("runner", __name__, url_prefix="/api/actions/runner.v1.RunnerService")
RESULTS = (Status.RUNNING, Status.SUCCESS, Status.FAILURE, Status.CANCELLED, Status.SKIPPED)
# Whose token a running job has.
BOT = User(-2, "forgejo-actions", "")
NAMES = {status: f"RESULT_{'UNSPECIFIED' if status is Status.RUNNING else status.upper()}" for status in RESULTS}


def refused(status: int, code: str) -> Response:
    return answers.document({"code": code, "message": code}, status)


@routes.post("/Register")
def register() -> Response:
    world, body = context().world, request.get_json()
    handle = {"id": str(len(world.runners) + 1), "uuid": secrets.token_hex(8), "token": secrets.token_hex(20)}
    world.runners[handle["uuid"]] = handle["token"], tuple(body["labels"])
    return answers.document({"runner": {**handle, "name": body["name"], "labels": body["labels"]}})


@routes.before_request
def known() -> Response | None:
    """Every call but the first is a registered runner's."""
    if request.path.endswith("/Register"):
        return None
    token, _ = context().world.runners.get(request.headers.get("x-runner-uuid", ""), ("", ()))
    return None if token and token == request.headers.get("x-runner-token") else refused(401, "unauthenticated")


@routes.post("/Declare")
def declare() -> Response:
    return answers.document({"runner": {"labels": request.get_json()["labels"]}})


@routes.post("/FetchTask")
def fetch_task() -> Response:
    """The oldest waiting job whose labels the runner has."""
    world = context().world
    _, labels = world.runners[request.headers["x-runner-uuid"]]
    runs = sorted((run for repo in world.repos for run in repo.runs), key=lambda run: run.id)
    for job in (job for run in runs for job in run.jobs):
        if job.status is Status.WAITING and set(job.spec.runs_on) <= set(labels):
            return answers.document({"task": _handed_out(world, world.pick(job)), "tasksVersion": "1"})
    return answers.document({"tasksVersion": "1"})


def _handed_out(world: World, task: Task) -> dict[str, Any]:
    job, run = task.job, task.job.run
    task.token = world.token(BOT, "all", job_of=run.repo)
    steps = [{"name": step.name, "run": step.name} for step in task.steps]
    payload = json.dumps({"jobs": {job.spec.key: {"name": job.name, "steps": steps}}})  # which is YAML too
    return {
        "id": str(task.id),
        "workflowPayload": base64.b64encode(payload.encode()).decode(),
        "context": {
            "run_id": str(run.id),
            "run_number": str(run.index),
            "repository": run.repo.full_name,
            "token": task.token,
        },
    }


@routes.post("/UpdateLog")
def update_log() -> Response:
    """Rows that it has already are skipped."""
    body = request.get_json()
    task = _task(context().world, body["taskId"])
    rows = body.get("rows") or []
    if rows and task.log is None:
        task.log = RowLog()
    if isinstance(task.log, RowLog):
        for row in rows[max(task.log.rows - int(body.get("index", 0)), 0) :]:
            task.log.append(_ticks(row["time"]), row.get("content", ""))
    task.updated = context().world.now()
    return answers.document({"ackIndex": str(task.log.rows if task.log else 0)})


@routes.post("/UpdateTask")
def update_task() -> Response:
    """The state of the steps, and at the end the result. What comes after a result is ignored."""
    world, state = context().world, request.get_json()["state"]
    task = _task(world, state["id"])
    if not task.status.done:
        _take_steps(task, state.get("steps") or [])
        task.clock = _ticks(state["stoppedAt"]) if "stoppedAt" in state else task.clock
        result = RESULTS[int(state.get("result", 0))]
        if result.done:
            world.finish(task.job, result)
    return answers.document({"state": {"id": str(task.id), "result": NAMES[task.status]}, "sentOutputs": []})


def _take_steps(task: Task, states: Sequence[Mapping[str, Any]]) -> None:
    for state in states:
        step = task.steps[int(state["id"])]
        if "startedAt" in state:
            step.status, step.started = Status.RUNNING, _ticks(state["startedAt"]) // TICKS
        if int(state.get("result", 0)):
            step.status, step.stopped = RESULTS[int(state["result"])], _ticks(state["stoppedAt"]) // TICKS
        step.log_index, step.log_length = int(state.get("logIndex", 0)), int(state.get("logLength", 0))


def _task(world: World, task_id: str) -> Task:
    return next(task for job in _jobs(world) for task in job.tasks if str(task.id) == task_id)


def _jobs(world: World) -> list[Job]:
    runs: list[Run] = [run for repo in world.repos for run in repo.runs]
    return [job for run in runs for job in run.jobs]


def _ticks(text: str) -> int:
    """RFC 3339 in ticks of 100 ns; a float would lose the last digits."""
    moment = datetime.fromisoformat(text)
    return timegm(moment.utctimetuple()) * TICKS + moment.microsecond * 10
