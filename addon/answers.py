"""What each action answers: the service's word as JSON or text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Response

from addon import __version__, artifactanswers, changeanswers, loganswers, render, routes, summaryanswers
from addon.access import Caller
from addon.errors import NotFound
from addon.replies import as_json, links
from addon.service import Service, Timings


def _info(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    return as_json(render.run(service.info(query, caller, timings), links()))


def _jobs(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    run, details, only = service.jobs(query, caller, timings)
    return as_json(render.jobs(run, details, links(), only))


def own(name: str) -> Response:
    """The extension's pages about itself, by their name after `actions-extensions/`."""
    if name not in OWN:
        raise NotFound(f"no such page of the extension; there is: {', '.join(OWN)}")
    return OWN[name]()


def _index() -> Response:
    return as_json({"name": "forgejo-actions-proxy", "version": __version__})


ANSWERS: Mapping[str, Callable[[Service, routes.Query, Caller, Timings], Response]] = {
    "info": _info,
    "jobs": _jobs,
    "logs": loganswers.logs,
    "summary": summaryanswers.summary,
    "rerun": changeanswers.rerun,
    "cancel": changeanswers.cancel,
    "artifacts": artifactanswers.artifacts,
    "artifact": artifactanswers.artifact,
}

OWN: Mapping[str, Callable[[], Response]] = {"": _index}
