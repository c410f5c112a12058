"""A run's summary as an answer: JSON, or what else the client's Accept prefers."""

from __future__ import annotations

from flask import Response, request

from addon.actions.service import Service, Timings
from addon.api.answers import render
from addon.api.responses import as_json, client_left, links
from addon.api.routes import Query
from addon.api.text import markdown, terminal
from addon.caller import Caller

JSON, MARKDOWN, TEXT = "application/json", "text/markdown", "text/plain"
WRITERS = {MARKDOWN: markdown.summary, TEXT: terminal.summary}


def summary(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    """JSON for `*/*`, and for whoever accepts none of the three."""
    found = service.summary(query, caller, timings, client_left())
    wanted = request.accept_mimetypes.best_match((JSON, MARKDOWN, TEXT), JSON)
    if wanted not in WRITERS:
        response = as_json(render.summary(found, links()))
    else:
        body = WRITERS[wanted](found, links()).encode("utf-8", "replace")
        response = Response(body, content_type=f"{wanted}; charset=utf-8")
    response.headers["Vary"] = "Accept"
    return response
