"""What each action answers: the service's word as JSON or text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Response

from addon import artifactanswers, changeanswers, loganswers, render, routes, summaryanswers
from addon.caller import Caller
from addon.replies import as_json, client_left, links
from addon.service import Service, Timings


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
    "logs": loganswers.logs,
    "job": _job,
    "attempts": _attempts,
    "runs": _runs,
    "summary": summaryanswers.summary,
    "rerun": changeanswers.rerun,
    "cancel": changeanswers.cancel,
    "artifacts": artifactanswers.artifacts,
    "artifact": artifactanswers.artifact,
}
