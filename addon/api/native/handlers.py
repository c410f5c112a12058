"""Answers requests by id as Forgejo 17 does: the same statuses, JSON, headers, and texts of errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from werkzeug.wrappers import Response

from addon import trace
from addon.actions.by_id.artifacts import ArtifactsById
from addon.actions.by_id.changes import ChangeById
from addon.actions.by_id.errors import RouteAbsent, TargetMissing
from addon.actions.by_id.jobs import JobsById
from addon.actions.by_id.logs import LogsById
from addon.api import request
from addon.api.native import artifacts, jobs, logs
from addon.api.native.paths import METHODS, ByIdRequest
from addon.api.native.responses import as_json
from addon.caller import Caller
from addon.errors import ApiError
from addon.model import Repo

log = logging.getLogger("addon")

Handler = Callable[[ByIdRequest, Caller], Response]


@dataclass(frozen=True, slots=True)
class NativeHandlers:
    """The handlers of the dialect by id."""

    jobs: JobsById
    logs: LogsById
    artifacts: ArtifactsById
    changes: ChangeById

    def answer(self, asked: ByIdRequest, caller: Caller) -> Response:
        """The response, also to what Forgejo refuses."""
        if request.method() != METHODS[asked.route]:
            return _empty(405, {"Allow": METHODS[asked.route]})
        try:
            return self._routes()[asked.route](asked, caller)
        except ApiError as error:
            trace.current().error = error.message if error.status >= 500 else None
            return _error(error)

    def _routes(self) -> Mapping[str, Handler]:
        return {
            "jobs/{id}": lambda asked, caller: jobs.one(self.jobs.one(caller, asked.repo, asked.id)),
            "jobs/{id}/logs": lambda asked, caller: logs.of_job(self.logs, asked, caller),
            "jobs/{id}/rerun": partial(_changed, self.changes.rerun_job),
            "runs/{id}/jobs": lambda asked, caller: jobs.of_run(self.jobs.list(caller, asked.repo, asked.id)),
            "runs/{id}/logs": lambda asked, caller: logs.of_run(self.logs, asked, caller),
            "runs/{id}/artifacts": lambda asked, caller: artifacts.of_run(
                self.artifacts.list(caller, asked.repo, asked.id), asked
            ),
            "runs/{id}/cancel": partial(_changed, self.changes.cancel),
            "runs/{id}/rerun": partial(_changed, self.changes.rerun_run),
        }


def _changed(change: Callable[[Caller, Repo, int], None], asked: ByIdRequest, caller: Caller) -> Response:
    """204 after a change."""
    change(caller, asked.repo, asked.id)
    log.info("%s of %s %s %d, by id", asked.action, asked.repo, asked.kind, asked.id)
    return _empty(204)


def _error(error: ApiError) -> Response:
    """An error in Forgejo's shape. A route that this version lacks is text, by which programs recognize that."""
    if isinstance(error, RouteAbsent):
        return Response(f"{error.message}\n", error.status, content_type="text/plain; charset=utf-8")
    body = {"message": error.message, "url": f"{request.links().base}/api/swagger"}
    response = as_json(body | {"errors": []} if isinstance(error, TargetMissing) else body, error.status)
    response.headers.update(error.headers)
    return response


def _empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(None, status, headers)
    del response.headers["Content-Type"]
    return response
