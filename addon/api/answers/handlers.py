"""What each action answers: the service's word as JSON or text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Response

from addon.actions.service import Service, Timings
from addon.api import routes
from addon.api.answers import artifacts, changes, logs, render, summary
from addon.api.responses import as_json, client_left, links
from addon.caller import Caller


def _info(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    return as_json(render.run(service.info(query, caller, timings, client_left()), links()))


def _jobs(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    run, details, only = service.jobs(query, caller, timings, client_left())
    return as_json(render.jobs(run, details, links(), only))


def _job(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    return as_json(render.job(service.job(query, caller, timings, client_left()), links()))


def _attempts(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    run, details, only = service.attempts(query, caller, timings)
    return as_json(render.attempts(run, details, links(), only))


def _runs(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    return as_json(render.runs(service.runs(query, caller, timings), links()))


ANSWERS: Mapping[str, Callable[[Service, routes.Query, Caller, Timings], Response]] = {
    "info": _info,
    "jobs": _jobs,
    "logs": logs.logs,
    "job": _job,
    "attempts": _attempts,
    "runs": _runs,
    "summary": summary.summary,
    "rerun": changes.rerun,
    "cancel": changes.cancel,
    "artifacts": artifacts.artifacts,
    "artifact": artifacts.artifact,
}
