"""Removes credentials from flows, so that neither mitmweb nor a saved flow shows them.

A request and a streamed response were sent before they come here. A response without a body was not.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from mitmproxy import http

REDACTED = "[redacted]"
HEADERS = frozenset(
    {
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        b"set-cookie",
        b"x-actions-secret",
        b"x-csrf-token",
        b"x-forgejo-otp",
        b"x-gitea-otp",
    }
)
PARAMETERS = frozenset({"token", "access_token", "_csrf"})


def request(flow: http.HTTPFlow) -> None:
    """Redacts a request: the caller's credentials in headers and query, and the application's secret."""
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


def target(path: str) -> str:
    """A request target without the values of tokens in its query, however their names are encoded."""
    head, mark, query = path.partition("?")
    return head + mark + "".join(_parameter(part) for part in re.split("([&#;])", query))


def _parameter(part: str) -> str:
    name, equals, _ = part.partition("=")
    return name + equals + REDACTED if equals and unquote_plus(name) in PARAMETERS else part


def _redact(headers: http.Headers) -> None:
    headers.fields = tuple((name, _shown(name.strip().lower(), value)) for name, value in headers.fields)


def _shown(name: bytes, value: bytes) -> bytes:
    if name == b"location":
        return _unsigned(value)
    return REDACTED.encode() if name in HEADERS else value


def _unsigned(url: bytes) -> bytes:
    """A redirect's target. A query with a storage's signature is removed: anybody could use it."""
    head, mark, query = url.partition(b"?")
    return head + mark + REDACTED.encode() if b"signature=" in query.lower() else url
