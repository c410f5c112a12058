"""What the API has of its own since v16: jobs, logs, artifacts, cancel and delete, all by database id."""

from __future__ import annotations

import io
import re
import zipfile

from flask import Response, request

from tests.double import answers, schema
from tests.double.api import ACTIONS, RefusalError, absent, only, refuse, repository, routes, run_by_id, some, writable
from tests.double.context import context
from tests.double.model import Artifact, Job, Repo
from tests.double.permissions import allowed
from tests.double.web import number

RUN = f"{ACTIONS}/runs/<run_id>"
ARTIFACT = f"{ACTIONS}/artifacts/<artifact_id>"
NOT_EXECUTED, EXPIRED = "job has not been executed yet", "logs have expired"


@routes.before_request
def check_version() -> None:
    """None of these routes exists before v16, and some not before v17."""
    name = (request.endpoint or "").rpartition(".")[2]
    if name.startswith("native_"):
        only(context().version.native_jobs)
    if name.startswith("native_17_"):
        only(context().version.native_rerun)
    if name.startswith("native_") and request.method == "HEAD":
        raise RefusalError(Response(status=405))


def done() -> Response:
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


@routes.get(f"{RUN}/jobs")
def native_jobs(owner: str, name: str, run_id: str) -> Response:
    ctx, repo, _ = repository(owner, name, "repo.actions")
    jobs = run_by_id(repo, run_id).jobs
    return answers.document([schema.job(ctx.world, job, ctx.root) for job in jobs], api=True)


@routes.get(f"{RUN}/logs")
def native_run_logs(owner: str, name: str, run_id: str) -> Response:
    """A zip with each job's newest log, or a marker where there is none."""
    _, repo, _ = repository(owner, name, "repo.actions")
    run = run_by_id(repo, run_id)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for job in run.jobs:
            entry, data = _entry(job)
            archive.writestr(zipfile.ZipInfo(entry), data)
    answer = answers.attachment("", buffer.getvalue())
    answer.headers["Content-Disposition"] = f'attachment; filename="run-{run.id}-logs.zip"'
    return answer


def _entry(job: Job) -> tuple[str, bytes]:
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "", job.name).strip() or "job"
    entry = f"{name}-{job.id}-attempt-{max(job.attempt, 1)}"
    if job.task is None:
        return f"{entry}.MISSING", f"{NOT_EXECUTED}\n".encode()
    if job.task.expired or job.task.log is None:
        why = "logs have been cleaned up" if job.task.expired else "log open failed: file does not exist"
        return f"{entry}.MISSING", f"{why}\n".encode()
    return f"{entry}.log", b"".join(job.task.log.read(0, job.task.log.size))


@routes.get(f"{RUN}/artifacts")
def native_run_artifacts(owner: str, name: str, run_id: str) -> Response:
    _, repo, _ = repository(owner, name, "repo.actions")
    return _artifact_list(run_by_id(repo, run_id).artifacts)


@routes.get(f"{ACTIONS}/artifacts")
def native_artifacts(owner: str, name: str) -> Response:
    _, repo, _ = repository(owner, name, "repo.actions")
    return _artifact_list([each for run in repo.runs for each in run.artifacts])


def _artifact_list(every: list[Artifact]) -> Response:
    """An array of those with the name that was asked for; how many there are is in a header."""
    wanted = request.args.get("name")
    found = sorted((each for each in every if wanted in (None, each.name)), key=lambda each: -each.id)
    answer = answers.document([schema.artifact(each, context().root) for each in some(found)], api=True)
    answer.headers["X-Total-Count"] = str(len(found))
    return answer


def _artifact(repo: Repo, artifact_id: str) -> Artifact:
    for run in repo.runs:
        for each in run.artifacts:
            if each.id == number(artifact_id):
                return each
    raise absent("artifact not found")


@routes.get(ARTIFACT)
def native_artifact(owner: str, name: str, artifact_id: str) -> Response:
    ctx, repo, _ = repository(owner, name, "repo.actions")
    return answers.document(schema.artifact(_artifact(repo, artifact_id), ctx.root), api=True)


@routes.get(f"{ARTIFACT}/zip")
def native_artifact_zip(owner: str, name: str, artifact_id: str) -> Response:
    _, repo, _ = repository(owner, name, "repo.actions")
    found = _artifact(repo, artifact_id)
    return answers.zip_file(found.data, f"{found.name}.zip", request.headers.get("Range", ""))


@routes.delete(ARTIFACT)
def native_delete_artifact(owner: str, name: str, artifact_id: str) -> Response:
    _, repo, _ = writable(owner, name, "repo.actions", archived_too=True)
    found = _artifact(repo, artifact_id)
    found.run.artifacts.remove(found)
    return done()


@routes.post(f"{RUN}/cancel")
def native_cancel(owner: str, name: str, run_id: str) -> Response:
    """Of a finished run too, to which nothing happens."""
    ctx, repo, _ = writable(owner, name, "repo.actions", archived_too=True)
    ctx.world.cancel(run_by_id(repo, run_id))
    return done()


@routes.delete(RUN)
def native_delete_run(owner: str, name: str, run_id: str) -> Response:
    ctx, repo, principal = writable(owner, name, "repo.actions", archived_too=True)
    if not allowed(ctx.version, principal, repo, "repo.code", "admin"):
        raise refuse(403, "user should be an owner or a collaborator with admin write of a repository")
    run = run_by_id(repo, run_id)
    if not run.done:
        raise refuse(500, "")
    repo.runs.remove(run)
    return done()
