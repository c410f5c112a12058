"""The conversations. Where the proxy can't help changing something, `difference` says what, and what both sides see."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass

from tests.fidelity.wire import Await, HalfClose, Say, Script, Send, Silence, ToEnd, Until

HOST = b"Host: forge.example\r\n"
GET = b"GET /path HTTP/1.1\r\n" + HOST
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PACKED = gzip.compress(bytes(range(256)) * 200, mtime=0)


@dataclass(frozen=True)
class Through:
    """What is different through the proxy, and the scripts that show it; what is None is as without it."""

    why: str
    at_server: bytes | None = None
    at_client: bytes | None = None
    client: Script | None = None
    servers: Sequence[Script] | None = None
    client_end: str = "done"


@dataclass(frozen=True)
class Case:
    """`servers` has a script for each upstream connection. Without `through` both sides see the same, byte for byte."""

    name: str
    client: Script
    servers: Sequence[Script]
    through: Through | None = None


def simple(name: str, request: bytes, answer: bytes = OK, through: Through | None = None) -> Case:
    """One request with its end in its last bytes, one answer with its end in its last bytes."""
    return Case(name, [Send(request), Until(answer[-8:])], [[Until(request[-8:]), Send(answer)]], through)


def get(name: str, answer: bytes = OK, headers: bytes = b"", through: Through | None = None) -> Case:
    """A GET with this answer."""
    return simple(name, GET + headers + b"\r\n", answer, through)


def post(head: bytes, body: bytes) -> bytes:
    return b"POST /path HTTP/1.1\r\n" + HOST + head + b"\r\n" + body


METHODS = [
    simple(method.decode(), method + b" /path HTTP/1.1\r\n" + HOST + b"\r\n")
    for method in (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND", b"get", b"X-ODD!")
]
TARGETS = [
    simple(target.decode("latin-1"), b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    for target in (
        b"//a//b/../c/./d;e=f", b"/%2e%2e/%2F%00?a=%20&&b=c;d+e", b"/?", b"/a?b?c#d", b"/\xc3\xa9\xff", b"http://other.example/p?q",
    )
]  # fmt: skip
REQUEST_HEADERS = [
    get("order, case and duplicates", headers=b"x-b: 1\r\nX-A: 2\r\nx-B: 3\r\nX-a: 4\r\nCookie: a=1\r\nCookie: b=2\r\n"),
    get("bytes above 127", headers=b"X-Bytes: \xe9\xff \xc3\xa9\r\n"),
    get("no value", headers=b"X-Empty: \r\n"),
    get("one of 100 kB", headers=b"X-Large: " + b"v" * 100_000 + b"\r\n"),
    get("a thousand", headers=b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(1000))),
    get("forwarded by a trusted proxy", headers=b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nVia: 1.1 a\r\n"),
    get("connection and upgrade of its own", headers=b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"),
]  # fmt: skip
ANSWER_HEADERS = [
    get("order, case and duplicates", b"HTTP/1.1 200 Very Well\r\nx-b: 1\r\nX-A: 2\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 2\r\n\r\nok"),
    get("no reason", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"),
    get("one of 100 kB", b"HTTP/1.1 200 OK\r\nX-Large: " + b"v" * 100_000 + b"\r\nContent-Length: 2\r\n\r\nok"),
    get("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
]  # fmt: skip
BODIES = [
    simple("request with a length", post(b"Content-Length: 5\r\n", b"hello")),
    simple("request, gzip", post(b"Content-Encoding: gzip\r\nContent-Length: %d\r\n" % len(PACKED), PACKED)),
    simple("request in chunks", post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")),
    simple("request, empty, with a length", post(b"Content-Length: 0\r\n", b"")),
    simple("GET with a body", b"GET /path HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nbody"),
    simple("DELETE with a body", b"DELETE /path HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nbody"),
    get("answer, gzip", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED),
    get("answer in chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
    Case("answer to the end of the connection", [Send(GET + b"\r\n"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\n\r\nto the end")]]),
    Case("answer that is cut off", [Send(GET + b"\r\n"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")]]),
    Case("answer in chunks that is cut off", [Send(GET + b"\r\n"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")]]),
]  # fmt: skip
STATUSES = [
    get("204", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
    get("206", b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/9\r\nContent-Length: 2\r\n\r\nok", b"Range: bytes=2-3\r\n"),
    get("304 with a length", b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1234\r\n\r\n", b'If-None-Match: "x"\r\n'),
    get("416", b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */9\r\nContent-Length: 0\r\n\r\n", b"Range: bytes=99-\r\n"),
    simple("HEAD with a length", b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
    simple("HEAD in chunks", b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    get("an unknown one", b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok"),
]  # fmt: skip
CONNECTIONS = [
    Case("two requests one after the other",
         [Send(b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\n"), Until(b"ok"), Send(b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\n"), Until(b"ok", 2)],
         [[Until(b"\r\n\r\n"), Send(OK), Until(b"\r\n\r\n", 2), Send(OK)]]),
    Case("pipelining", [Send((b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\n") * 3), Until(b"ok", 3)],
         [[Until(b"\r\n\r\n"), Send(OK), Until(b"\r\n\r\n", 2), Send(OK), Until(b"\r\n\r\n", 3), Send(OK)]]),
    Case("Connection: close", [Send(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")]]),
    Case("HTTP/1.0", [Send(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.0 200 OK\r\n\r\nok")]]),
    Case("an answer before the upload has ended, which goes on, and another request", [
            Send(post(b"Content-Length: 10\r\n", b"hello")), Until(b"ok"), Send(b"world"), Await("read"),
            Send(GET + b"\r\n"), Until(b"ok", 2)],
         [[Until(b"hello"), Send(OK), Until(b"world"), Say("read"), Until(b"\r\n\r\n", 2), Send(OK)]]),
    Case("an answer before the upload has ended, which is given up", [
            Send(post(b"Content-Length: 1000\r\n", b"hello")), Until(b"too large"), ToEnd()],
         [[Until(b"hello"), Send(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large")]]),
    Case("events arrive when sent", [
            Send(b"GET /user/events HTTP/1.1\r\n" + HOST + b"\r\n"), Until(b"data: 1\n\n"), Say("first"), Until(b"data: 2\n\n"), Say("second")],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"),
           Send(b"9\r\ndata: 1\n\n\r\n"), Await("first"), Send(b"9\r\ndata: 2\n\n\r\n"), Await("second")]]),
    Case("a client that leaves a stream ends it", [
            Send(b"GET /user/events HTTP/1.1\r\n" + HOST + b"\r\n"), Until(b"data: 1\n\n")],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"), ToEnd()]]),
    Case("an upgrade to WebSocket", [
            Send(b"GET /ws HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            Until(b"\r\n\r\n"), Send(b"\x81\x85\x01\x02\x03\x04igoht"), Until(b"\x81\x02ok"), Send(b"\x88\x80\0\0\0\0"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
           Until(b"igoht"), Send(b"\x81\x02ok"), Until(b"\x88\x80"), Send(b"\x88\x00")]]),
    Case("an upgrade to something else", [
            Send(b"GET /x HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: odd\r\n\r\n"),
            Until(b"\r\n\r\n"), Send(b"ping"), Until(b"pong"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\n"),
           Until(b"ping"), Send(b"pong")]]),
    Case("an upstream that ends its half", [Send(GET + b"\r\n"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\n\r\nok"), HalfClose(), ToEnd()]]),
]  # fmt: skip
EXPECT = b"POST /path HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
REFUSED = b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
# addon/docs/limits.md has a row for each.
CHANGED = [
    get("white space around values", headers=b"X-A:1\r\nX-B:   2  \r\n", through=Through(
        "there is one space before a value and none after it",
        at_server=GET + b"X-A: 1\r\nX-B: 2\r\n\r\n",
        servers=[[Until(b"\r\n\r\n"), Send(OK)]])),
    simple("chunk extensions", post(b"Transfer-Encoding: chunked\r\n", b"5;name=value\r\nhello\r\n0\r\n\r\n"), through=Through(
        "they are dropped",
        at_server=post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"))),
    Case("Expect: 100-continue, welcome",
         [Send(EXPECT), Until(b"100 Continue\r\n\r\n"), Send(b"hello"), Until(b"ok")],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 100 Continue\r\n\r\n"), Until(b"hello"), Send(OK)]],
         Through("the proxy says 100 itself, and Forgejo isn't asked",
                 at_server=post(b"Content-Length: 5\r\n", b"hello"), servers=[[Until(b"hello"), Send(OK)]])),
    Case("Expect: 100-continue, refused", [Send(EXPECT), ToEnd()], [[Until(b"\r\n\r\n"), Send(REFUSED)]],
         Through("the proxy has said 100 before Forgejo refuses",
                 at_server=post(b"Content-Length: 5\r\n", b""), at_client=b"HTTP/1.1 100 Continue\r\n\r\n" + REFUSED)),
    Case("103 Early Hints", [Send(GET + b"\r\n"), Until(b"ok")],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), Send(OK)]],
         Through("a 502 that ends both connections", client=[Send(GET + b"\r\n"), ToEnd()],
                 at_client=b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")),
    Case("102 Processing", [Send(GET + b"\r\n"), Until(b"ok")],
         [[Until(b"\r\n\r\n"), Send(b"HTTP/1.1 102 Processing\r\n\r\n" + OK)]],
         Through("a 502 that ends both connections", client=[Send(GET + b"\r\n"), ToEnd()],
                 at_client=b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")),
    get("trailers of an answer", CHUNKED + b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", through=Through(
        "the answer is cut off before its end", at_client=CHUNKED + b"5\r\nhello\r\n", client_end="closed")),
    simple("trailers of a request", post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"), through=Through(
        "the request hangs", at_server=b"", at_client=b"", servers=[],
        client=[Send(post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n")), Silence()])),
    Case("a client that ends its half", [Send(GET + b"\r\n"), HalfClose(), Until(b"ok")], [[Until(b"\r\n\r\n"), Send(OK)]],
         Through("it is taken for gone", client=[Send(GET + b"\r\n"), HalfClose(), ToEnd()], servers=[], at_server=b"", at_client=b"")),
    Case("an idle upstream connection that has ended", [
            Send(GET + b"\r\n"), Until(b"ok"), Await("closed"), ToEnd()],
         [[Until(b"\r\n\r\n"), Send(OK), Say("closed")]],
         Through("the client's stays, and its next request gets a new one",
                 client=[Send(GET + b"\r\n"), Until(b"ok"), Await("closed"), Silence(), Send(GET + b"\r\n"), Until(b"ok", 2)],
                 servers=[[Until(b"\r\n\r\n"), Send(OK), Say("closed")], [Until(b"\r\n\r\n"), Send(OK)]],
                 at_server=(GET + b"\r\n") * 2, at_client=OK * 2)),
    simple("an upgrade to h2c", GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nX-A: 1\r\n\r\n",
           through=Through("it is not asked for", at_server=GET + b"X-A: 1\r\n\r\n")),
    Case("HTTP/2 without TLS", [Send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ToEnd()], [[Until(b"SM\r\n\r\n"), Send(b"\0\0\0\4\0\0\0\0\0")]],
         Through("the connection is closed", servers=[], at_server=b"", at_client=b"")),
    simple("line feeds alone", b"GET /path HTTP/1.1\nHost: forge.example\n\n", through=Through(
        "they become carriage return and line feed", servers=[[Until(b"\r\n\r\n"), Send(OK)]], at_server=GET + b"\r\n")),
    simple("an empty line before a request", b"\r\n" + GET + b"\r\n", through=Through(
        "the request hangs", client=[Send(b"\r\n" + GET + b"\r\n"), Silence()], servers=[], at_server=b"", at_client=b"")),
]  # fmt: skip
CASES: dict[str, Case] = {
    f"{group}: {case.name}": case
    for group, cases in {
        "method": METHODS,
        "target": TARGETS,
        "request header": REQUEST_HEADERS,
        "answer header": ANSWER_HEADERS,
        "body": BODIES,
        "status": STATUSES,
        "connection": CONNECTIONS,
        "changed": CHANGED,
    }.items()
    for case in cases
}
