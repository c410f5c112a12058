"""Answers in the forms that Forgejo gives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from flask import Response

JSON = "application/json;charset=utf-8"
SECURITY = {"X-Content-Type-Options": "nosniff"}


def text(status: int, message: str, media_type: str = "text/plain; charset=utf-8") -> Response:
    """A plain line."""
    return Response(f"{message}\n", status, SECURITY, content_type=media_type)


def not_found(as_page: str | None) -> Response:
    """A web page that is not there: HTML for who accepts it, else one line in Forgejo's own media type."""
    if as_page is not None:
        return Response(as_page, 404, content_type="text/html; charset=utf-8")
    return text(404, "Not found.", "text/plain;charset=utf-8")


# Values of megabytes, encoded, by their placeholders.
LARGE: dict[bytes, bytes] = {}


def large(value: Any) -> str:
    """A placeholder for a value of megabytes, which `document` replaces. So the value is encoded only once."""
    mark = f"(large value {len(LARGE)})"
    LARGE[f'"{mark}"'.encode()] = _json(value).encode()
    return mark


def document(value: Any, status: int = 200, api: bool = False) -> Response:
    """JSON as Go writes it."""
    body = _json(value).encode()
    for mark, encoded in list(LARGE.items()):
        body = body.replace(mark, encoded)
    return Response(body + b"\n", status, SECURITY if api else {}, content_type=JSON)


def _json(value: Any) -> str:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for plain, escaped in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        body = body.replace(plain, escaped)
    return body


def page(html: str, status: int = 200) -> Response:
    return Response(html, status, content_type="text/html; charset=utf-8")


def redirect(location: str, status: int = 303, method: str = "GET") -> Response:
    names = {303: "See Other", 307: "Temporary Redirect"}
    if method not in ("GET", "HEAD"):
        answer = Response("", status, {"Location": location})
        del answer.headers["Content-Type"]
        return answer
    body = f'<a href="{location}">{names[status]}</a>.\n\n'
    return Response(body, status, {"Location": location}, content_type="text/html; charset=utf-8")


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """Start and stop of a range; None for the whole. Raises ValueError when there is no overlap."""
    unit, _, ranges = header.partition("=")
    if unit.strip() != "bytes" or not ranges:
        return None
    first, dash, last = ranges.strip().partition("-")
    if not dash or not (first or last):
        raise ValueError(header)
    if not first:
        return max(size - int(last), 0), size
    if int(first) >= size or (last and int(last) < int(first)):
        raise ValueError(header)
    return int(first), min(int(last) + 1, size) if last else size


def log_file(log: Any, name: str, wanted: str, headers: dict[str, str]) -> Response:
    """A log as a download, whole or in part."""
    return _file(log.read, log.size, name, wanted, {"Content-Type": "text/plain; charset=utf-8", **headers})


def zip_file(data: bytes, name: str, wanted: str) -> Response:
    """A stored zip as a download, whole or in part."""

    def read(start: int, stop: int) -> Iterator[bytes]:
        yield data[start:stop]

    return _file(read, len(data), name, wanted, {"Content-Type": "application/zip"})


def _file(
    read: Callable[[int, int], Iterator[bytes]], size: int, name: str, wanted: str, headers: dict[str, str]
) -> Response:
    base = {
        "Accept-Ranges": "bytes",
        "Access-Control-Expose-Headers": "Content-Disposition",
        "Content-Disposition": _disposition(name),
        **SECURITY,
        **headers,
    }
    try:
        parts = [range_of(f"bytes={each}", size) for each in wanted.removeprefix("bytes=").split(",")]
        if len(parts) > 1 and all(parts):
            return _several_parts(read, size, [part for part in parts if part], base)
        part = range_of(wanted, size) if wanted else None
    except ValueError:
        answer = text(416, "invalid range: failed to overlap")
        answer.headers["Content-Range"] = f"bytes */{size}"
        return answer
    start, stop = part or (0, size)
    if part:
        base["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(read(start, stop), 206 if part else 200, {**base, "Content-Length": str(stop - start)})


def _several_parts(
    read: Callable[[int, int], Iterator[bytes]], size: int, parts: list[tuple[int, int]], headers: dict[str, str]
) -> Response:
    """Go's answer to several ranges: a body of parts, each with headers of its own."""
    if sum(stop - start for start, stop in parts) > size:
        return Response(read(0, size), 200, {**headers, "Content-Length": str(size)})
    body = b""
    for start, stop in parts:
        head = f"Content-Range: bytes {start}-{stop - 1}/{size}\r\nContent-Type: {headers['Content-Type']}"
        body += f"--boundary\r\n{head}\r\n\r\n".encode() + b"".join(read(start, stop)) + b"\r\n"
    body += b"--boundary--\r\n"
    return Response(body, 206, {**headers, "Content-Type": "multipart/byteranges; boundary=boundary"})


def _disposition(name: str) -> str:
    value = f"attachment; filename=\"{name}\"; filename*=UTF-8''{quote(name, safe='')}"
    # Go writes a header's bytes as they are, but for line ends. WSGI wants each byte as a character.
    return value.replace("\r", " ").replace("\n", " ").encode().decode("latin-1")


def unsized(name: str, data: bytes, media_type: str | None) -> Response:
    """A download that is made as it is sent: nobody knows its length, and no part of it can be had."""
    pieces = (data[start : start + 65536] for start in range(0, len(data), 65536))
    answer = Response(pieces, 200, {"Content-Disposition": _disposition(name)}, content_type=media_type)
    if media_type is None:
        answer.headers.pop("Content-Type", None)
    return answer


def attachment(name: str, data: bytes, media_type: str = "application/zip") -> Response:
    return Response(data, 200, {"Content-Disposition": _disposition(name), **SECURITY}, content_type=media_type)
