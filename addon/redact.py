"""Takes credentials out of flows: what mitmweb shows and what is saved is a record of requests, not a bunch of keys.

Only ever called for what has been sent already: both ends got every byte.
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
    """The sessions that an answer begins, and the permission that a storage's signed URL is."""
    if flow.response is not None:
        _redact(flow.response.headers)
        if "Location" in flow.response.headers:
            flow.response.headers["Location"] = location(flow.response.headers["Location"])


def target(path: str) -> str:
    """A request target whose query holds no token's value, however its name is written."""
    head, mark, query = path.partition("?")
    return head + mark + "".join(_parameter(part) for part in re.split("([&#;])", query))


def location(url: str) -> str:
    """A redirect's target without its query, if that bears a signature."""
    head, mark, query = url.partition("?")
    return head + mark + REDACTED if "signature=" in query.lower() else url


def _parameter(part: str) -> str:
    name, equals, _ = part.partition("=")
    return name + equals + REDACTED if equals and unquote_plus(name) in PARAMETERS else part


def _redact(headers: http.Headers) -> None:
    fields = headers.fields
    headers.fields = tuple(
        (name, REDACTED.encode() if name.strip().lower() in HEADERS else value) for name, value in fields
    )
