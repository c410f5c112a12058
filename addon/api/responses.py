"""Responses in the extension's form, and what of the present request goes into them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Request, Response, request

from addon.api.links import Links
from addon.caller import HEADERS, PARAMETERS, Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Names in a message come from workflows, and may be of any length.
MOST_MESSAGE = 2000
# What a terminal would obey, or show in another order, and JSON leaves as it is: C1 controls, bidi marks, line ends.
UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def caller_of(request: Request) -> Caller:
    """The credentials of the request in every form that Forgejo's API takes."""
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    parameters = {name: request.args[name] for name in PARAMETERS if name in request.args}
    return Caller(headers, parameters)


def links() -> Links:
    """URLs in an answer point to where the client came: the host that it asked, by the scheme it used in front."""
    scheme = "https" if request.headers.get("X-Forwarded-Proto", "").lower() == "https" else "http"
    return Links(f"{scheme}://{request.host}")


class Prompt(Response):
    """One whose head is sent at once: its body may be long in coming."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Starts the response and writes nothing, which a WSGI server must not hold back."""

        def started(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            write = start_response(status, headers, *error)
            write(b"")
            return write

        return super().__call__(environ, started)


def client_left() -> Callable[[], bool]:
    """Tells of the present request, whenever called, whether its client has gone."""
    left: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    return left


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
