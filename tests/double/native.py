"""What the API has of its own since v16: jobs, logs, artifacts, cancel and delete, all by database id."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from email.utils import formatdate

from flask import Response, request

from tests.double import answers, schema
from tests.double.api import ACTIONS, failure, missing, only, refuse, repository, routes, run_by_id, some, writable
from tests.double.context import context
from tests.double.model import Artifact, Repo, Task
from tests.double.permissions import allowed


@routes.before_request
def check_version() -> None:
    """None of these routes exists before v16."""
    if request.endpoint and request.endpoint.rpartition(".")[2].startswith("native_"):
        only(context().version.native_jobs)


@routes.get(f"{ACTIONS}/runs/<int:run_id>/jobs")
def native_jobs(owner: str, name: str, run_id: int) -> Response:
    _, repo, _ = repository(owner, name, "repo.actions")
    return answers.document([schema.job(job) for job in run_by_id(repo, run_id).jobs], api=True)


@routes.get(f"{ACTIONS}/runs/<int:run_id>/logs")
def native_run_logs(owner: str, name: str, run_id: int) -> Response:
    """A zip with each job's newest log, or a marker where there is none."""
    _, repo, _ = repository(owner, name, "repo.actions")
    run = run_by_id(repo, run_id)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for job in run.jobs:
            entry = f"{job.name}-{job.id}-attempt-{job.attempt}.log"
            log = job.task.log if job.task else None
            if log is None:
                archive.writestr(f"{entry}.MISSING", "")
            else:
                archive.writestr(entry, b"".join(log.read(0, log.size)))
    answer = answers.attachment("", buffer.getvalue())
    answer.headers["Content-Disposition"] = f'attachment; filename="run-{run.id}-logs.zip"'
    return answer


@dataclass(frozen=True)
class _Found:
    task: Task
    file: str


def _task(repo: Repo, job_id: int) -> _Found:
    job = next((job for run in repo.runs for job in run.jobs if job.id == job_id), None)
    if job is None:
        raise missing()
    attempt = request.args.get("attempt", 0, int)
    task = job.task if not attempt else next((task for task in job.tasks if task.attempt == attempt), None)
    if task is None or task.expired:
        raise missing()
    return _Found(task, f"{job.run.workflow_id.partition('.')[0]}-{job.name}-{task.id}.log")


@routes.get(f"{ACTIONS}/jobs/<int:job_id>/logs")
def native_job_logs(owner: str, name: str, job_id: int) -> Response:
    """Of any attempt, also while a rerun waits."""
    _, repo, _ = repository(owner, name, "repo.actions")
    found = _task(repo, job_id)
    if found.task.log is None:
        return failure(500, "")
    changed = {"Last-Modified": formatdate(found.task.updated, usegmt=True)}
    return answers.log_file(found.task.log, found.file, request.headers.get("Range", ""), changed)


@routes.get(f"{ACTIONS}/runs/<int:run_id>/artifacts")
def native_run_artifacts(owner: str, name: str, run_id: int) -> Response:
    _, repo, _ = repository(owner, name, "repo.actions")
    return _artifact_list(run_by_id(repo, run_id).artifacts)


@routes.get(f"{ACTIONS}/artifacts")
def native_artifacts(owner: str, name: str) -> Response:
    _, repo, _ = repository(owner, name, "repo.actions")
    return _artifact_list([each for run in repo.runs for each in run.artifacts])


def _artifact_list(found: list[Artifact]) -> Response:
    entries = [schema.artifact(each, context().root) for each in some(found)]
    return answers.document({"total_count": len(found), "artifacts": entries}, api=True)


def _artifact(repo: Repo, artifact_id: int) -> Artifact:
    for run in repo.runs:
        for each in run.artifacts:
            if each.id == artifact_id:
                return each
    raise missing()


@routes.get(f"{ACTIONS}/artifacts/<int:artifact_id>")
def native_artifact(owner: str, name: str, artifact_id: int) -> Response:
    ctx, repo, _ = repository(owner, name, "repo.actions")
    return answers.document(schema.artifact(_artifact(repo, artifact_id), ctx.root), api=True)


@routes.get(f"{ACTIONS}/artifacts/<int:artifact_id>/zip")
def native_artifact_zip(owner: str, name: str, artifact_id: int) -> Response:
    _, repo, _ = repository(owner, name, "repo.actions")
    found = _artifact(repo, artifact_id)
    return answers.attachment(f"{found.name}.zip", found.data)


@routes.delete(f"{ACTIONS}/artifacts/<int:artifact_id>")
def native_delete_artifact(owner: str, name: str, artifact_id: int) -> Response:
    _, repo, _ = writable(owner, name, "repo.actions", archived_too=True)
    found = _artifact(repo, artifact_id)
    found.run.artifacts.remove(found)
    return Response("", 204)


@routes.post(f"{ACTIONS}/runs/<int:run_id>/cancel")
def native_cancel(owner: str, name: str, run_id: int) -> Response:
    ctx, repo, _ = writable(owner, name, "repo.actions", archived_too=True)
    ctx.world.cancel(run_by_id(repo, run_id))
    return Response("", 204)


@routes.delete(f"{ACTIONS}/runs/<int:run_id>")
def native_delete_run(owner: str, name: str, run_id: int) -> Response:
    ctx, repo, principal = writable(owner, name, "repo.actions", archived_too=True)
    if not allowed(ctx.version, principal, repo, "repo.code", "admin"):
        raise refuse(403, "user should be an owner or a collaborator with admin write of a repository")
    repo.runs.remove(run_by_id(repo, run_id))
    return Response("", 204)
