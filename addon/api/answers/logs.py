"""Logs as answers: Forgejo's bytes with Range, or text made of them, or a zip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from flask import Response, request

from addon.actions.logs.read_logs import begun
from addon.actions.logs.reader import Options
from addon.actions.service import Service, Timings
from addon.api.answers import events
from addon.api.parameters import ALL, FAILED
from addon.api.responses import Prompt
from addon.api.routes import Query
from addon.api.text import bundle
from addon.caller import Caller
from addon.errors import BadRequest
from addon.model import Run

TEXT, ZIP, EVENTS = "text/plain", "application/zip", "text/event-stream"


def logs(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    """What `logs` answers, by what is asked for."""
    if query.failed_steps and query.job is None:
        query = replace(query, job=FAILED)
    if query.failed_steps and query.step is not None:
        raise BadRequest("step and failed_steps exclude each other")
    if query.follow:
        return _followed(service, query, caller, timings)
    if _wants_zip(query):
        return _zip(service, query, caller, timings)
    if query.job in (ALL, FAILED):
        run, found = service.logs.several(query, caller, timings)
        return _made(run, bundle.as_text(found), _names(run))
    if not Options.of(query).whole:
        run, blocks = service.logs.part(query, caller, timings)
        return _made(run, blocks, _names_of_job(run))
    return _whole(service, query, caller, timings)


def _whole(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    wanted = {"Range": request.headers["Range"]} if "Range" in request.headers else {}
    run, found = service.logs.whole(query, caller, timings, request.method, wanted)
    headers = {**found.headers, **_names_of_job(run)}
    body = found.body
    if body is None or request.method == "HEAD":
        if body is not None:
            body.close()
        return Response(None, found.status, headers, content_type=f"{TEXT}; charset=utf-8")
    try:
        response = Response(begun(iter(body)), found.status, headers, content_type=f"{TEXT}; charset=utf-8")
    except BaseException:
        body.close()
        raise
    response.call_on_close(body.close)
    return response


def _zip(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    run, found = service.logs.several(query if query.job is not None else replace(query, job=ALL), caller, timings)
    name = f"{run.repo.name}-run-{run.number}-logs.zip"
    headers = {**_names(run), "Content-Disposition": f'attachment; filename="{name}"'}
    return _made(run, bundle.as_zip(found), headers, ZIP)


def _made(run: Run, body: Iterator[bytes], headers: Mapping[str, str], media_type: str = TEXT) -> Response:
    """A body that is made as it is sent, so its length isn't known and no part of it can be asked for."""
    whole = begun(body if request.method != "HEAD" else iter(()))
    content_type = f"{TEXT}; charset=utf-8" if media_type == TEXT else media_type
    response = Response(whole, 200, {**headers, "Accept-Ranges": "none"}, content_type=content_type)
    response.call_on_close(whole.close)
    return response


def _followed(service: Service, query: Query, caller: Caller, timings: Timings) -> Response:
    """A stream without an end of its own; a HEAD has none."""
    if query.format == "zip":
        raise BadRequest("a zip can't be followed; leave format or follow out")
    as_events = request.accept_mimetypes.best_match((TEXT, EVENTS), TEXT) == EVENTS
    last = request.headers.get("Last-Event-ID", "")
    places = events.resumed(last) if last and query.job != FAILED else {}
    gone = request.environ["waitress.client_disconnected"]
    found = service.following.follow(query, caller, timings, places, gone)
    options = Options.of(query)
    body = events.as_event_stream(found, options) if as_events else events.as_text(found, options)
    headers = _names(found.run) if found.many else _names_of_job(found.run)
    media_type = EVENTS if as_events else f"{TEXT}; charset=utf-8"
    response = Prompt(body if request.method != "HEAD" else None, 200, headers, content_type=media_type)
    response.call_on_close(body.close)
    response.call_on_close(found.close)
    return response


def _wants_zip(query: Query) -> bool:
    if query.format is not None:
        return query.format == "zip"
    return request.accept_mimetypes.best_match((TEXT, ZIP), TEXT) == ZIP


def _names(run: Run) -> dict[str, str]:
    """Headers that say which run it is."""
    return {"X-Actions-Run": str(run.number)}


def _names_of_job(run: Run) -> dict[str, str]:
    """And which job and attempt."""
    attempt = str(run.detail.attempt) if run.detail.attempt else "latest"
    return {**_names(run), "X-Actions-Job": str(run.detail.index), "X-Actions-Attempt": attempt}
