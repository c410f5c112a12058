"""Faults that a test plants: what a broken server, or something between, answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.double.serving import AbortError, WsgiApp

# Some ten kilobytes, as a server's page of an internal error has.
PANIC = b"<!DOCTYPE html>\n<html><head><title>Internal server error</title></head><body>" + b"<p>panic</p>\n" * 800
HTML = b"<!DOCTYPE html><html><body><h1>Something else</h1><p>Not the page you asked for.</p></body></html>"
KINDS = (
    "status",
    "html",
    "json",
    "drop",
    "truncate",
    "cut",
    "delay",
    "redirect",
    "endless",
    "call",
    "instead",
    "panic",
)


@dataclass(eq=False)
class Fault:
    """Happens `times` times to requests whose "METHOD path?query" matches, then leaves the list it is in."""

    match: str
    kind: str
    times: int = 1
    value: Any = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such kind of fault: {self.kind}; there are {', '.join(KINDS)}")


def take(faults: list[Fault], request: str) -> Fault | None:
    """The first fault that fits the request, one time less."""
    for fault in faults:
        if re.search(fault.match, request):
            fault.times -= 1
            if fault.times <= 0:
                faults.remove(fault)
            return fault
    return None


def answer(fault: Fault, application: WsgiApp, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    """What the client gets instead of, or after, the application's answer."""
    if fault.kind == "drop":
        raise AbortError
    if fault.kind == "delay":
        time.sleep(fault.value)
        return application(environ, start)
    if fault.kind == "call":  # something happens, before a right answer
        fault.value()
        return application(environ, start)
    if fault.kind == "instead":  # the answer of another path: the value's parts are replaced in this one
        path = environ["double.path"].replace(*fault.value)
        environ |= {"double.path": path, "PATH_INFO": path}
        return application(environ, start)
    if fault.kind == "truncate":
        return _half(application, environ, start)
    if fault.kind == "cut":
        return _cut(application, environ, start)
    if fault.kind == "panic":
        return _panic(application, environ, start, fault.value)
    if fault.kind == "endless":
        start("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return _endless()
    if fault.kind == "redirect":
        start("307 Temporary Redirect", [("Location", str(fault.value)), ("Content-Length", "0")])
        return []
    status, media_type, body = "200 OK", "text/html; charset=utf-8", HTML
    if fault.kind == "json":
        media_type, body = "application/json;charset=utf-8", json.dumps(fault.value).encode()
    elif fault.kind == "status":
        body = b"" if fault.value == 204 else b"planted\n"
        status, media_type = f"{fault.value} Planted", "text/plain; charset=utf-8"
    start(status, [("Content-Type", media_type), ("Content-Length", str(len(body)))])
    return [body]


def _half(application: WsgiApp, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
    """Says how long the body is, and then sends half of it."""
    seen: list[Any] = []
    body = b"".join(application(environ, lambda status, headers, exc_info=None: seen.extend((status, headers))))
    headers = [(name, value) for name, value in seen[1] if name.lower() != "content-length"]
    start(seen[0], [*headers, ("Content-Length", str(len(body)))])
    yield body[: len(body) // 2]
    raise AbortError


def _cut(application: WsgiApp, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
    """Sends half of the body in chunks, without the last one that would end it."""
    seen: list[Any] = []
    body = b"".join(application(environ, lambda status, headers, exc_info=None: seen.extend((status, headers))))
    start(seen[0], [(name, value) for name, value in seen[1] if name.lower() != "content-length"])
    yield body[: len(body) // 2]
    raise AbortError


def _panic(application: WsgiApp, environ: dict[str, Any], start: Any, good: int) -> Iterator[bytes]:
    """Forgejo fails in the middle of a body: after `good` bytes comes its error page, and less than was announced."""
    seen: list[Any] = []
    body = b"".join(application(environ, lambda status, headers, exc_info=None: seen.extend((status, headers))))
    headers = [(name, value) for name, value in seen[1] if name.lower() != "content-length"]
    start(seen[0], [*headers, ("Content-Length", str(len(body)))])
    yield (body[:good] + PANIC)[: max(len(body) - 1, 0)]
    raise AbortError


def _endless() -> Iterator[bytes]:
    while True:
        yield b"<p>and on</p>" * 1000
        time.sleep(0.002)
