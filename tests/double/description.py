"""A description of the API in Swagger 2.0, at the place and in the form of Forgejo's, of this stand-in's making."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response

from tests.double import answers
from tests.double.context import context

routes = Blueprint("description", __name__)
REPO = "/repos/{owner}/{repo}"
RUN = f"{REPO}/actions/runs/{{run_id}}"
JOB = f"{REPO}/actions/jobs/{{job_id}}"
SINCE_16 = ((f"{RUN}/jobs", "get"), (f"{RUN}/logs", "get"), (f"{RUN}/artifacts", "get"), (f"{RUN}/cancel", "post"))
SINCE_17 = ((f"{RUN}/rerun", "post"), (JOB, "get"), (f"{JOB}/rerun", "post"))


@routes.get("/swagger.v1.json")
def swagger() -> Response:
    """Chunked, without a validator, whoever asks."""
    ctx = context()
    paths: dict[str, Any] = {"/version": {"get": _operation("getVersion")}}
    if ctx.version.tasks_route:
        paths[f"{REPO}/actions/tasks"] = {"get": _operation("ListActionTasks", "owner", "repo")}
    if ctx.version.runs_route:
        paths[f"{REPO}/actions/runs"] = {"get": _operation("ListActionRuns", "owner", "repo")}
        paths[f"{REPO}/actions/runs/{{run_id}}"] = {"get": _operation("ActionRun", "owner", "repo", "run_id")}
    native = SINCE_16 * ctx.version.native_jobs + SINCE_17 * ctx.version.native_rerun
    for path, method in native:
        names = re.findall(r"\{(\w+)\}", path)
        paths[path] = {method: _operation(f"{method}-{path}", *names)}
    answer = answers.document(
        {
            "swagger": "2.0",
            "info": {"title": "Stand-in API", "version": ctx.version.reported, "description": "ünïcödé ✓ <&> \u2028"},
            "basePath": f"{ctx.sub}/api/v1",
            "paths": paths,
            "definitions": {
                "ActionRun": {"type": "object", "properties": {"id": {"type": "integer", "maximum": 1e18}}}
            },
            "responses": {"empty": {"description": "nothing"}},
            "security": [{"BasicAuth": []}],
        }
    )
    answer.headers["Content-Type"] = "application/json"
    return answer


def _operation(name: str, *parameters: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "parameters": [{"type": "string", "name": each, "in": "path", "required": True} for each in parameters],
        "responses": {"200": {"$ref": "#/responses/empty"}},
    }
