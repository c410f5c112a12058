"""The present request: the one that this thread answers, and what responses take from it."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request

from addon.api.body import Body
from addon.api.links import Links
from addon.caller import HEADERS, PARAMETERS, Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_current: contextvars.ContextVar[Request] = contextvars.ContextVar("request")


@contextmanager
def present(environ: WSGIEnvironment) -> Iterator[None]:
    """Makes the request the present one in the block."""
    token = _current.set(Request(environ))
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Request:
    """The present request. Raises LookupError where there is none, for example while a body is generated."""
    return _current.get()


def method() -> str:
    """The request's method in upper case."""
    return current().method


def headers() -> Headers:
    """The request's headers, whatever the case of their names."""
    return current().headers


def target() -> str:
    """Path and query of the request, as the client wrote them."""
    return str(current().environ["REQUEST_URI"])


def is_head() -> bool:
    """Whether the response must have no body."""
    return method() == "HEAD"


def accepts(types: tuple[str, ...]) -> str:
    """The one of these media types that the client likes best; the first one if it accepts none of them."""
    return current().accept_mimetypes.best_match(types, types[0])


def caller() -> Caller:
    """The credentials of the request, in every form that Forgejo's API takes."""
    sent, query = headers(), current().args
    known = {name: sent[name] for name in HEADERS if name in sent}
    return Caller(known, {name: query[name] for name in PARAMETERS if name in query})


def body() -> Body:
    """The request's body. The proxy has cut it behind the largest one that is read."""
    request = current()
    return Body(request.get_data(cache=False), request.headers.get("Content-Type", ""), request.content_encoding or "")


def links() -> Links:
    """The URLs of the response: with the host that the client used, and its scheme."""
    scheme = "https" if headers().get("X-Forwarded-Proto", "").lower() == "https" else "http"
    return Links(f"{scheme}://{current().host}")


def range_header() -> dict[str, str]:
    """The request's Range header, if it names one range.

    Several ranges, or a condition, are treated as none, which HTTP allows: the response then has the whole.
    """
    wanted = headers().get("Range", ",")
    return {} if "," in wanted or "If-Range" in headers() else {"Range": wanted}


def is_disconnected() -> Callable[[], bool]:
    """A function that tells whether the client has disconnected."""
    check: Callable[[], bool] = current().environ.get("waitress.client_disconnected", lambda: False)
    return check
