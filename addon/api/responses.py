"""Responses of the extension, and what they take from the present request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from addon.api import request
from addon.model import Run

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Json = dict[str, Any]

# The longest message, in characters. Names in it come from workflows and may have any length.
MOST_MESSAGE = 2000
# Characters that a terminal interprets or displays in another order, and that JSON does not escape: C1 controls, bidi
# marks, line separators.
UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def run_header(run: Run) -> dict[str, str]:
    """Which run a response is about: its number, and its id where Forgejo tells it."""
    run_id = run.id if run.id is not None else run.details.id
    return {"X-Actions-Run": str(run.number) if run_id is None else f"{run.number}; id={run_id}"}


class StreamingResponse(Response):
    """A response whose head is sent at once, because its body may take long."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Starts the response with an empty write, which a WSGI server must not hold back."""

        def started(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            write = start_response(status, headers, *error)
            write(b"")
            return write

        return super().__call__(environ, started)


def as_json(value: object, status: int = 200, run: Run | None = None) -> Response:
    """A JSON response, about a run if one is given."""
    text = UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False)) + "\n"
    # A lone surrogate in a title is not valid UTF-8, so it is escaped.
    body = text.encode("utf-8", "backslashreplace")
    return Response(body, status, run_header(run) if run else None, content_type="application/json; charset=utf-8")


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error response in Forgejo's shape."""
    short = message if len(message) <= MOST_MESSAGE else message[:MOST_MESSAGE] + "…"
    response = as_json({"message": short, "url": f"{request.links().base}/api/swagger"}, status)
    response.headers.update(headers or {})
    return response


def unsatisfiable(described: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    """The 416 for a Range behind the end. `described` are Forgejo's headers, with the size in Content-Range."""
    place = described.get("content-range", "")
    size = place.rpartition("/")[2]
    message = f"Range: nothing is there; the size is {size} bytes" if size.isdecimal() else "Range: nothing is there"
    kept = {"Content-Range": place} if place else {}
    return error_response(416, message, {**headers, **kept})


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
