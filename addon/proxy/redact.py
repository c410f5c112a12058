"""Takes credentials out of flows: what mitmweb shows and what is saved is a record of requests, not a bunch of keys.

A request, and an answer that is streamed, has been sent when it comes here. An answer without a body has not.
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
    """The caller's credentials, in headers and in the query, and the application's secret."""
    _redact(flow.request.headers)
    flow.request.path = target(flow.request.path)


def response(flow: http.HTTPFlow) -> None:
    """The sessions that an answer begins. The client gets them all the same."""
    if flow.response is None:
        return
    if flow.response.raw_content is None:  # streamed, so it has been sent
        _redact(flow.response.headers)
    else:
        flow.response.headers = Unsent(flow.response.headers)


class Unsent(http.Headers):
    """Headers without credentials for whoever looks at or saves them. Their bytes, once, are what came.

    mitmproxy streams no answer without a body, a sign-in's redirect for one: it calls the last hook first, and then
    takes the bytes for the client. (That is HTTP/1; `mitm.yaml` turns HTTP/2 off.)
    """

    def __init__(self, headers: http.Headers) -> None:
        super().__init__(headers.fields)
        _redact(self)
        self._wire: bytes | None = bytes(headers)

    def __bytes__(self) -> bytes:
        wire, self._wire = self._wire, None
        return super().__bytes__() if wire is None else wire


def target(path: str) -> str:
    """A request target whose query holds no token's value, however its name is written."""
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
    """A redirect's target; without its query, if a storage's signature in it is a permission for whoever has it."""
    head, mark, query = url.partition(b"?")
    return head + mark + REDACTED.encode() if b"signature=" in query.lower() else url
