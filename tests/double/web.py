"""The Actions pages of a repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request

from tests.double import answers, demo_pages, html, view
from tests.double.context import Context, context
from tests.double.model import Job, Repo, Run, Task
from tests.double.rerun import RefusedError, rerun

pages = Blueprint("web", __name__)
ACTIONS = "/<owner>/<name>/actions"
RUN = f"{ACTIONS}/runs/<index>"
JOB = f"{RUN}/jobs/<job>"
ATTEMPT = f"{JOB}/attempt/<attempt>"
PANIC = '<p>500 Internal Server Error</p><pre class="ui attached segment">runtime error: index out of range</pre>'


class AnsweredError(Exception):
    """The request is answered before its handler gets to it."""

    def __init__(self, response: Response) -> None:
        self.response = response


@pages.errorhandler(AnsweredError)
def answered(error: AnsweredError) -> Response:
    return error.response


def number(text: str) -> int:
    """As Go reads a number of a path: what is none is 0."""
    return int(text) if text.isascii() and text.lstrip("-").isdigit() else 0


def repository(owner: str, name: str, level: str = "read") -> tuple[Context, Repo]:
    """The repository, if the signed-in user has this right to its Actions."""
    ctx = context()
    for ending in (".git", ".rss", ".atom"):  # pages ignore these endings, the API doesn't
        name = name.removesuffix(ending)
    repo = ctx.world.find_repo(owner, name)
    renamed = ctx.world.renames.get(f"{owner}/{name}".lower())
    if repo is None and renamed is not None:
        path = request.environ["double.path"].replace(f"{owner}/{name}", renamed.full_name, 1)
        query = request.query_string.decode()
        raise AnsweredError(answers.redirect(f"{ctx.sub}{path}" + (f"?{query}" if query else ""), 307, request.method))
    if repo is None or not ctx.sees(repo) or not repo.has_actions or not ctx.may(repo, "repo.actions", level):
        raise AnsweredError(ctx.not_found())
    return ctx, repo


def find_run(repo: Repo, index: str, missing: int = 404) -> Run:
    """Number 0 and what is no number match the first run of all."""
    wanted = number(index)
    for run in repo.runs:
        if wanted in (0, run.index):
            return run
    raise AnsweredError(answers.text(missing, f"run with index {repo.id} {wanted}: resource does not exist"))


def find_job(run: Run, index: str) -> Job:
    """An index past the end is job 0."""
    if not run.jobs:
        raise AnsweredError(answers.text(404, "Not Found"))
    wanted = number(index)
    return run.jobs[wanted if 0 <= wanted < len(run.jobs) else 0]


def find_task(ctx: Context, job: Job, attempt: str | None) -> Task | None:
    """The task of an attempt, or the newest before v13; None while the job waits, whatever the attempt."""
    if job.task is None or not ctx.version.attempts:
        return job.task
    wanted = number(attempt or "")
    for task in job.tasks:
        if task.attempt == wanted:
            return task
    raise AnsweredError(answers.text(500, f"task with job_id {job.id} and attempt {wanted}: resource does not exist"))


def only(condition: bool) -> None:
    """Routes that the version does not have."""
    if not condition:
        raise AnsweredError(context().not_found())


def run_url(ctx: Context, run: Run, job: Job | None = None, attempt: int | None = None) -> str:
    """Absolute, from ROOT_URL."""
    tail = f"/jobs/{job.index}/attempt/{attempt}" if job else ""
    return f"{ctx.root}/{run.repo.full_name}/actions/runs/{run.index}{tail}"


@pages.get(ACTIONS)
def run_list(owner: str, name: str) -> Response:
    ctx, repo = repository(owner, name)
    query = {key: request.args.get(key, "") for key in ("workflow", "actor", "status", "page")}
    limit = min(max(number(request.args.get("limit", "")), 0) or 30, 50)
    filters: list[Callable[[Run], bool]] = []
    if query["workflow"]:
        filters.append(lambda run: run.workflow_id == query["workflow"])
    if actor := number(query["actor"]):
        filters.append(lambda run: run.actor.id == actor)
    if status := number(query["status"]):
        filters.append(lambda run: run.status.number == status)
    runs = [run for run in reversed(repo.runs) if all(fits(run) for fits in filters)]
    page = max(number(query["page"]), 1)
    shown = runs[(page - 1) * limit : page * limit]
    pager = {**query, "page": str(page), "actor": str(number(query["actor"])), "status": str(number(query["status"]))}
    count = -(-len(runs) // limit)
    body = html.run_list(ctx.world, repo, shown, ctx.viewer(repo), pager, count)
    if ctx.version.list_inner and request.args.get("list_inner") == "true":
        return answers.page(body)
    return ctx.page(f'<div class="page-content repository actions">{body}</div>')


@pages.get(f"{ACTIONS}/runs/latest")
def latest(owner: str, name: str) -> Response:
    ctx, repo = repository(owner, name)
    if not repo.runs:
        return ctx.not_found()
    return answers.redirect(run_url(ctx, repo.runs[-1]), 307)


@pages.get(f"{ACTIONS}/workflows/<workflow>/runs/latest")
def latest_of_workflow(owner: str, name: str, workflow: str) -> Response:
    """Of one branch: the default one, if none is named."""
    ctx, repo = repository(owner, name)
    branch, event = request.args.get("branch") or repo.default_branch, request.args.get("event")
    for run in reversed(repo.runs):
        if (run.workflow_id, run.ref) == (workflow, branch) and event in (None, "", run.event):
            return answers.redirect(run_url(ctx, run), 307)
    return ctx.not_found()


@pages.get(RUN)
@pages.get(JOB)
def run_page(owner: str, name: str, index: str, job: str = "0") -> Response:
    ctx, repo = repository(owner, name)
    run = find_run(repo, index)
    if not ctx.version.attempts:
        return _page(ctx, run, index, job, None)
    found = find_job(run, job)
    return answers.redirect(f"{run_url(ctx, run)}/jobs/{number(job)}/attempt/{max(found.attempt, 1)}", 307)


@pages.get(ATTEMPT)
def attempt_page(owner: str, name: str, index: str, job: str, attempt: str) -> Response:
    ctx, repo = repository(owner, name)
    only(ctx.version.attempts)
    return _page(ctx, find_run(repo, index), index, job, attempt)


def _page(ctx: Context, run: Run, index: str, job: str, attempt: str | None) -> Response:
    actions = f"{view.repo_link(run, ctx.sub)}/actions"
    attributes: dict[str, object] = {"data-run-index": number(index)}
    if ctx.version.attempts:
        attributes["data-run-id"] = run.id
    attributes["data-job-index"] = number(job)
    if attempt is not None:
        attributes["data-attempt-number"] = number(attempt)
    attributes["data-actions-url"] = actions
    attributes["data-workflow-name"] = run.workflow_id
    attributes["data-workflow-url"] = f"{actions}?workflow={quote(run.workflow_id)}"
    if ctx.version.description:
        source = f"{view.repo_link(run, ctx.sub)}/src/commit/{run.sha}/.forgejo/workflows/{run.workflow_id}"
        attributes["data-workflow-source-url"] = source
    if ctx.version.attempts:
        found = find_job(run, job)
        state = _view(ctx, run, found, find_task(ctx, found, attempt), [])
        attributes["data-initial-post-response"] = answers.document(state).get_data(as_text=True)
        attributes["data-initial-artifacts-response"] = answers.document(view.artifacts(run)).get_data(as_text=True)
    attributes["data-locale-status-success"] = ctx.texts["success"]
    body = html.run_view(attributes)
    if ctx.settings.front_page:
        found = find_job(run, job)
        body += demo_pages.run_body(ctx.world, run, found, find_task(ctx, found, attempt), ctx.sub)
    return ctx.page(body)


def _view(ctx: Context, run: Run, job: Job, task: Task | None, cursors: list[dict[str, Any]]) -> dict[str, Any]:
    viewer = ctx.viewer(run.repo)
    logs = view.step_logs(ctx.world, task, cursors, viewer)
    return {"state": view.state(ctx.world, run, job, task, viewer), "logs": {"stepsLog": logs}}


@pages.post(RUN)
@pages.post(JOB)
@pages.post(ATTEMPT)
def post_view(owner: str, name: str, index: str, job: str = "0", attempt: str | None = None) -> Response:
    """The state. A body that can't be read counts as empty."""
    ctx, repo = repository(owner, name)
    only(attempt is None or ctx.version.attempts)
    run = find_run(repo, index)
    found = find_job(run, job)
    task = find_task(ctx, found, attempt)
    body = request.get_json(silent=True)
    cursors = body.get("logCursors") if isinstance(body, dict) else None
    try:
        return answers.document(_view(ctx, run, found, task, cursors if isinstance(cursors, list) else []))
    except view.StepOutOfRangeError:
        return ctx.page(PANIC, 500)
    except view.LogMissingError:
        assert task is not None
        return _no_file(run, task)


def _no_file(run: Run, task: Task) -> Response:
    name = task.file_name
    if name is None:
        name = f"{run.repo.full_name}/{task.id % 256:02x}/{task.id}.log"
    return answers.text(500, f'dbfs open "actions_log/{name}": file does not exist')


@pages.get(f"{JOB}/logs")
@pages.get(f"{ATTEMPT}/logs")
def logs(owner: str, name: str, index: str, job: str, attempt: str | None = None) -> Response:
    ctx, repo = repository(owner, name)
    only(ctx.version.attempts == (attempt is not None))
    run = find_run(repo, index)
    found = find_job(run, job)
    if found.task is None:
        return answers.text(404, "job is not started")
    task = find_task(ctx, found, attempt)
    assert task is not None
    if task.expired:
        return answers.text(404, "logs have been cleaned up")
    if task.log is None:
        return _no_file(run, task)
    file = f"{run.workflow_id.partition('.')[0]}-{found.name}-{task.id}.log"
    return answers.log_file(task.log, file, request.headers.get("Range", ""), {"Cache-Control": "private, max-age=300"})


@pages.post(f"{RUN}/rerun")
@pages.post(f"{JOB}/rerun")
def post_rerun(owner: str, name: str, index: str, job: str | None = None) -> Response:
    ctx, repo = repository(owner, name, "write")
    run = find_run(repo, index, missing=500)
    found = find_job(run, job) if job is not None else None
    try:
        attempt = rerun(ctx.world, run, found)
    except RefusedError as refused:
        return answers.document({"errorMessage": ctx.texts[str(refused)], "renderFormat": "html"}, 400)
    if not ctx.version.attempts:
        return answers.document({})
    return answers.document({"redirect": run_url(ctx, run, found or run.jobs[0], attempt)})


@pages.post(f"{RUN}/cancel")
def post_cancel(owner: str, name: str, index: str) -> Response:
    ctx, repo = repository(owner, name, "write")
    ctx.world.cancel(find_run(repo, index, missing=500 if ctx.version.cancel_unknown_fails else 404))
    return answers.document({})


@pages.post(f"{RUN}/approve")
def post_approve(owner: str, name: str, index: str) -> Response:
    ctx, repo = repository(owner, name, "write")
    only(ctx.version.approve_route)
    find_run(repo, index)
    return answers.document({})


@pages.post(f"{RUN}/delete")
def post_delete(owner: str, name: str, index: str) -> Response:
    ctx, repo = repository(owner, name, "admin")
    only(ctx.version.native_jobs)
    run = next((run for run in repo.runs if run.index == number(index)), None)
    if run is not None and not run.done:
        return answers.document({"message": "run is not done"}, 500)
    if run is not None:
        repo.runs.remove(run)
    return answers.document({"ok": True})
