"""Responses with logs: Forgejo's bytes with Range, a part of a log, several logs, a zip, or a followed log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from werkzeug.wrappers import Response

from addon.actions.finding.find_job import no_such_jobs
from addon.actions.following.follow_logs import FollowLogs
from addon.actions.logs.completeness import is_complete
from addon.actions.logs.lines import first_block_read
from addon.actions.logs.options import LogOptions
from addon.actions.logs.read_logs import ReadLogs
from addon.actions.query import ALL, FAILED, SEVERAL, UNSUCCESSFUL, Query
from addon.api import request
from addon.api.answers import events
from addon.api.responses import StreamingResponse, run_header, unsatisfiable
from addon.api.text import bundle
from addon.caller import Caller
from addon.errors import BadRequest
from addon.model import Run

TEXT, ZIP, EVENTS = "text/plain", "application/zip", "text/event-stream"


def logs(use_case: ReadLogs, following: FollowLogs, query: Query, caller: Caller) -> Response:
    """The logs that the parameters and the Accept header ask for."""
    if query.failed_steps and query.job is None:
        query = replace(query, job=UNSUCCESSFUL)
    if query.failed_steps and query.step is not None:
        raise BadRequest("step and failed_steps exclude each other")
    if query.follow:
        return _followed(following, query, caller)
    if _wants_zip(query):
        return _zip(use_case, query, caller)
    if query.job in SEVERAL:
        run, found = use_case.several(query, caller)
        return _generated(run, bundle.as_text(found, no_such_jobs(run, str(query.job))), _run_headers(run, query))
    if not LogOptions.of(query).whole:
        run, blocks = use_case.part(query, caller)
        return _generated(run, blocks, _job_headers(run, query))
    return _whole(use_case, query, caller)


def _whole(use_case: ReadLogs, query: Query, caller: Caller) -> Response:
    run, found = use_case.whole(query, caller, request.method(), request.range_header())
    headers = {**found.headers, **_job_headers(run, query)}
    body = found.body
    if found.status == 416:
        return unsatisfiable(found.headers, _job_headers(run, query))
    if body is None or request.is_head():
        if body is not None:
            body.close()
        return Response(None, found.status, headers, content_type=f"{TEXT}; charset=utf-8")
    try:
        blocks = first_block_read(iter(body))
        response = Response(blocks, found.status, headers, content_type=f"{TEXT}; charset=utf-8")
    except BaseException:
        body.close()
        raise
    response.call_on_close(body.close)
    return response


def _zip(use_case: ReadLogs, query: Query, caller: Caller) -> Response:
    run, found = use_case.several(query if query.job is not None else replace(query, job=ALL), caller)
    name = f"{run.repo.name}-run-{run.number}-logs.zip"
    headers = {**_run_headers(run, query), "Content-Disposition": f'attachment; filename="{name}"'}
    return _generated(run, bundle.as_zip(found, no_such_jobs(run, str(query.job))), headers, ZIP)


def _generated(run: Run, body: Iterator[bytes], headers: Mapping[str, str], media_type: str = TEXT) -> Response:
    """A body that is generated while it is sent. Its length is unknown, and Range is not possible."""
    blocks = first_block_read(body if not request.is_head() else iter(()))
    content_type = f"{TEXT}; charset=utf-8" if media_type == TEXT else media_type
    response = Response(blocks, 200, {**headers, "Accept-Ranges": "none"}, content_type=content_type)
    response.call_on_close(blocks.close)
    return response


def _followed(following: FollowLogs, query: Query, caller: Caller) -> Response:
    """A stream that lasts as long as the job. The response to HEAD has no body."""
    if query.format == "zip":
        raise BadRequest("a zip can't be followed; leave format or follow out")
    if query.job in SEVERAL and query.attempt:
        raise BadRequest("with follow, attempt goes with one job: of several jobs, the newest attempts are followed")
    as_events = request.accepts((TEXT, EVENTS)) == EVENTS
    last = request.headers().get("Last-Event-ID", "")
    cursors = events.resumed(last) if last and query.job not in (FAILED, UNSUCCESSFUL) else {}
    found = following.follow(query, caller, cursors, request.is_disconnected())
    options = LogOptions.of(query)
    body = events.as_event_stream(found, options) if as_events else events.as_text(found, options)
    headers = _run_headers(found.run, query) if found.several else _job_headers(found.run, query)
    media_type = EVENTS if as_events else f"{TEXT}; charset=utf-8"
    response = StreamingResponse(body if not request.is_head() else None, 200, headers, content_type=media_type)
    response.call_on_close(body.close)
    response.call_on_close(found.close)
    return response


def _wants_zip(query: Query) -> bool:
    if query.format is not None:
        return query.format == "zip"
    return request.accepts((TEXT, ZIP)) == ZIP


def _run_headers(run: Run, query: Query) -> dict[str, str]:
    """Of several jobs' logs. Each log says its own attempt."""
    return {**run_header(run), "X-Actions-Attempt": str(query.attempt or "latest")}


def _job_headers(run: Run, query: Query) -> dict[str, str]:
    attempt = str(run.detail.attempt or query.attempt or "latest")
    job = str(run.detail.index)
    complete = is_complete(run)
    known = {} if complete is None else {"X-Actions-Log-Complete": str(complete).lower()}
    return {**run_header(run), "X-Actions-Job": job, "X-Actions-Attempt": attempt, **known}
