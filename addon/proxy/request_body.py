"""The body of an extension request on its way to the application: streamed, and never more than the latter reads."""

from __future__ import annotations

from mitmproxy import http

from addon.limits import MOST_BODY


def bound(request: http.Request) -> None:
    """Streams the body to the application, up to one byte more than it reads. The rest is discarded as it arrives.

    The application gets a chunked body that ends when the client's body ends. (If the response came first, mitmproxy
    would leave the connection hanging.)
    """
    left = MOST_BODY + 1

    def passed(data: bytes) -> list[bytes]:
        nonlocal left
        part = data[:left]
        left -= len(part)
        return [part] if part else []

    if "Transfer-Encoding" in request.headers or request.headers.get("Content-Length", "0") != "0":
        request.headers.pop("Content-Length", None)
        request.headers["Transfer-Encoding"] = "chunked"
        if request.http_version == "HTTP/1.0":  # it has no chunks: the application would not see the body
            request.http_version, request.headers["Connection"] = "HTTP/1.1", "close"
    request.stream = passed


def is_large(request: http.Request) -> bool:
    """Whether the body may be larger than what can be read before a response of the addon itself."""
    length = request.headers.get("Content-Length", "0")
    return "Transfer-Encoding" in request.headers or not length.isdecimal() or int(length) > MOST_BODY
