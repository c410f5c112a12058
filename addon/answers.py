"""What each action answers: the service's word as JSON or text."""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping

from flask import Request, Response, request

from addon import __version__, render, routes
from addon.access import HEADERS, PARAMETERS, Caller
from addon.errors import NotFound
from addon.service import Service, Timings
from addon.transport import Stream

log = logging.getLogger("addon")

# Names in a message come from workflows, and may be of any length.
MOST_MESSAGE = 2000
# What a terminal would obey, or show in another order, and JSON leaves as it is: C1 controls, bidi marks, line ends.
UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def _info(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    return as_json(render.run(service.info(query, caller, timings), links()))


def _jobs(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    run, details, only = service.jobs(query, caller, timings)
    return as_json(render.jobs(run, details, links(), only))


def _summary(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    run, details, artifacts = service.summary(query, caller, timings)
    return as_json(render.summary(run, details, artifacts, links()))


def _logs(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    wanted = {"Range": request.headers["Range"]} if "Range" in request.headers else {}
    run, found = service.log(query, caller, timings, request.method, wanted)
    detail = run.detail
    headers = {
        **found.headers,
        "X-Actions-Run": str(run.number),
        "X-Actions-Job": str(detail.index),
        "X-Actions-Attempt": str(detail.attempt) if detail.attempt else "latest",
    }
    body = _begun(found.body) if found.body is not None and request.method != "HEAD" else None
    if found.body is not None and body is None:
        found.body.close()
    response = Response(body, found.status, headers, content_type="text/plain; charset=utf-8")
    if found.body is not None:
        response.call_on_close(found.body.close)
    return response


def _artifacts(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    run, found = service.artifacts(query, caller, timings)
    return as_json(render.artifacts(run, found, links()))


def _artifact(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    wanted = {"Range": request.headers["Range"]} if "Range" in request.headers else {}
    run, name, found = service.artifact(query, caller, timings, request.method, wanted)
    headers = {**found.headers, "X-Actions-Run": str(run.number)}
    if found.location is not None:
        return Response(None, found.status, {**headers, "Location": found.location}, content_type="text/plain")
    if found.body is None:
        return Response(None, found.status, headers, content_type="application/zip")
    headers["Content-Disposition"] = f"attachment; {render.zip_name(name)}"
    body = _begun(found.body) if request.method != "HEAD" else None
    if body is None:
        found.body.close()
    response = Response(body, found.status, headers, content_type="application/zip")
    response.automatically_set_content_length = False
    response.call_on_close(found.body.close)
    return response


def _begun(stream: Stream) -> Iterator[bytes]:
    """The stream's bytes. The first are read now: what fails at once is an error, not the beginning of a log."""
    chunks = iter(stream)
    try:
        first = next(chunks, b"")
    except BaseException:
        stream.close()
        raise
    return itertools.chain((first,), chunks)


def _rerun(service: Service, query: routes.Query, caller: Caller, timings: Timings) -> Response:
    run, job = service.rerun(query, caller, timings)
    log.info("rerun of %s run %d, job %s", run.repo, run.number, "all" if job is None else job)
    urls = links()
    response = as_json(render.rerun(run, job, urls), 201)
    response.headers["Location"] = urls.api(run, "jobs")
    return response


def caller_of(request: Request) -> Caller:
    """The credentials of the request in every form that Forgejo's API takes."""
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    parameters = {name: request.args[name] for name in PARAMETERS if name in request.args}
    return Caller(headers, parameters)


def links() -> render.Links:
    """URLs in an answer point to where the client came: the host that it asked, by the scheme it used in front."""
    scheme = "https" if request.headers.get("X-Forwarded-Proto", "").lower() == "https" else "http"
    return render.Links(f"{scheme}://{request.host}")


def as_json(value: object, status: int = 200) -> Response:
    text = UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False)) + "\n"
    # A lone surrogate in a title is not UTF-8; it is escaped instead.
    body = text.encode("utf-8", "backslashreplace")
    return Response(body, status, content_type="application/json; charset=utf-8")


def error_answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    short = message if len(message) <= MOST_MESSAGE else message[:MOST_MESSAGE] + "…"
    response = as_json({"message": short, "url": f"{links().base}/api/swagger"}, status)
    response.headers.update(headers or {})
    return response


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
    "logs": _logs,
    "summary": _summary,
    "rerun": _rerun,
    "artifacts": _artifacts,
    "artifact": _artifact,
}

OWN: Mapping[str, Callable[[], Response]] = {"": _index}
