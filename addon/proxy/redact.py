"""Removes credentials from flows, so that neither mitmweb nor a saved flow shows them.

A request and a streamed response were sent before they come here. A response without a body was not.
"""

from __future__ import annotations

import functools
import re
from urllib.parse import unquote_plus

from mitmproxy import http

REDACTED = "[redacted]"
# What the name of a header or parameter has in it if its value is a secret. Some harmless ones have it too.
SECRET = re.compile("auth|code|cookie|credential|csrf|key|otp|pass|secret|session|sig|token|^state$", re.IGNORECASE)
# The next part of a URL: its query, its fragment, and the parameters in them.
NEXT_PART = re.compile("([?&#;])")
# Nearly all headers have names that came before. A longer name, in bytes, is not remembered.
MOST_REMEMBERED = 64


def request(flow: http.HTTPFlow) -> None:
    """Redacts a request: secrets in headers and query, of the caller and of the application."""
    _redact(flow.request.headers)
    flow.request.path = target(flow.request.path)


def response(flow: http.HTTPFlow) -> None:
    """Redacts a response: the cookies of new sessions. The client still gets them."""
    if flow.response is None:
        return
    if flow.response.raw_content is None:  # it was streamed, so it has been sent
        _redact(flow.response.headers)
    else:
        flow.response.headers = Unsent(flow.response.headers)


class Unsent(http.Headers):
    """Redacted headers that are serialized once with their original values, for the client.

    A response without a body, such as the redirect after a sign-in, is not streamed. mitmproxy then calls the last hook
    before it serializes the headers. (In HTTP/1; `mitm.yaml` turns HTTP/2 off.)
    """

    def __init__(self, headers: http.Headers) -> None:
        super().__init__(headers.fields)
        _redact(self)
        self._wire: bytes | None = bytes(headers)

    def __bytes__(self) -> bytes:
        wire, self._wire = self._wire, None
        return super().__bytes__() if wire is None else wire


def target(url: str) -> str:
    """A URL or a request target without the secrets in its query and fragment, however their names are encoded."""
    head, *parts = NEXT_PART.split(url)
    return head + "".join(map(_parameter, parts))


def _parameter(part: str) -> str:
    name, equals, _ = part.partition("=")
    return name + equals + REDACTED if equals and SECRET.search(unquote_plus(name)) else part


def _redact(headers: http.Headers) -> None:
    headers.fields = tuple((name, _shown(name.strip().lower(), value)) for name, value in headers.fields)


def _shown(name: bytes, value: bytes) -> bytes:
    if name == b"location":
        return target(value.decode("latin-1")).encode("latin-1")
    if name == b"referer":  # from another page, whose parameters may have any name
        page = re.split(b"[?#]", value, maxsplit=1)[0]
        return page if page == value else page + b"?" + REDACTED.encode()
    return REDACTED.encode() if _is_secret(name) else value


def _is_secret(name: bytes) -> bool:
    return _is_known_secret(name) if len(name) <= MOST_REMEMBERED else _search(name)


def _search(name: bytes) -> bool:
    return SECRET.search(name.decode("latin-1")) is not None


_is_known_secret = functools.lru_cache(1024)(_search)
