"""Artifacts as answers: their list, and a zip with Range, or where to get it."""

from __future__ import annotations

from flask import Response, request

from addon.actions.logs.read_logs import begun
from addon.actions.service import Service, Timings
from addon.api.answers import render
from addon.api.responses import as_json, links
from addon.api.routes import Query
from addon.caller import Caller

ZIP = "application/zip"


def artifacts(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    """The run's artifacts."""
    run = service.run_of(query, caller, timings)
    with timings.part("forgejo"):
        found = service.artifacts.list(run)
    return as_json(render.artifacts(run, found, links()))


def artifact(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    """One of them."""
    wanted = {"Range": request.headers["Range"]} if "Range" in request.headers else {}
    run, name = service.run_of(query, caller, timings), query.artifact or ""
    with timings.part("forgejo"):
        found = service.artifacts.open(run, name, request.method, wanted)
    headers = {**found.headers, "X-Actions-Run": str(run.number)}
    if found.location is not None:
        headers["Location"] = found.location
    if found.body is None:
        return Response(None, found.status, headers, content_type=ZIP)
    headers["Content-Disposition"] = f"attachment; {render.zip_name(name)}"
    try:
        body = begun(iter(found.body)) if request.method != "HEAD" else iter(())
    except BaseException:
        found.body.close()
        raise
    response = Response(body, found.status, headers, content_type=ZIP)
    response.call_on_close(found.body.close)
    return response
