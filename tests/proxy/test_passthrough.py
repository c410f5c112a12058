"""Ordinary traffic: same bytes, streamed, also between extension requests on one connection."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.proxy import Proxy, raw, start_proxy
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Upstream, Proxy]]:
    with Upstream() as upstream, start_proxy(upstream.url) as proxy:
        yield upstream, proxy


def test_a_request_arrives_as_it_was_sent(pair: tuple[Upstream, Proxy]) -> None:
    upstream, proxy = pair
    headers = (
        ("Host", "forge.example:8443"), ("x-LOWER-Upper", "1"), ("X-Twice", "a"), ("X-Twice", "b"),
        ("Cookie", "session=abc"), ("Authorization", "token xyz"), ("Accept-Encoding", "gzip"), ("Connection", "close"),
    )  # fmt: skip
    path = "/org/re%2Fpo//x/../y;z?a=%20b&a=c&&d"
    text = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
    answer = raw(proxy, text.encode())
    seen = upstream.requests[-1]
    assert (seen.method, seen.path, seen.header_list) == ("GET", path, headers)
    assert b"x-lower: a\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n" in answer and answer.endswith(b"\r\n\r\nhello")


def test_chunked_and_gzip_bodies(pair: tuple[Upstream, Proxy]) -> None:
    upstream, proxy = pair
    body = gzip.compress(b"pack" * 10000)
    parts = (body[i : i + 100] for i in range(0, len(body), 100))
    answer = requests.post(
        f"{proxy.url}/x/git-upload-pack", data=parts, headers={"Content-Encoding": "gzip"}, timeout=10
    )
    assert answer.content == body == upstream.requests[-1].body


@pytest.mark.parametrize("status", [204, 303, 304, 404, 503])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_bodiless_answers(pair: tuple[Upstream, Proxy], status: int, method: str) -> None:
    """A sign-in is one: its session cookie comes with a redirect that has no body."""
    _, proxy = pair
    answer = requests.request(method, f"{proxy.url}/status/{status}", timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["Set-Cookie"]) == (status, "a=1, b=2")


def test_head_and_expect(pair: tuple[Upstream, Proxy]) -> None:
    _, proxy = pair
    head = requests.head(f"{proxy.url}/x", timeout=10)
    assert (head.headers["Content-Length"], head.content) == ("5", b"")
    assert head.headers["Set-Cookie"] == "a=1, b=2"
    assert requests.put(f"{proxy.url}/x", data=b"abc", headers={"Expect": "100-continue"}, timeout=10).content == b"abc"


def test_large_bodies_are_streamed(pair: tuple[Upstream, Proxy]) -> None:
    _, proxy = pair
    before = _peak_kilobytes(proxy.process.pid)
    with requests.get(f"{proxy.url}/big/50", stream=True, timeout=30) as answer:
        assert sum(map(len, answer.iter_content(1 << 20))) == 50 << 20
    assert _upload(proxy, 50).endswith(str(50 << 20).encode())
    assert _peak_kilobytes(proxy.process.pid) - before < 32 * 1024


def test_events_arrive_when_sent(pair: tuple[Upstream, Proxy]) -> None:
    """Each by itself, not all together at the end."""
    _, proxy = pair
    with requests.get(f"{proxy.url}/events", stream=True, timeout=10) as answer:
        assert len(list(answer.iter_content(None))) == 3


def test_ordinary_and_extension_requests_share_a_connection(pair: tuple[Upstream, Proxy]) -> None:
    upstream, proxy = pair
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{proxy.url}/ordinary", timeout=10).headers["X-Upstream"] == "yes"
            bad = session.get(f"{proxy.url}/api/v1/repos/o/r/actions/runs/0/logs", timeout=10)
            assert bad.status_code == 400 and "X-Upstream" not in bad.headers
            head = session.head(f"{proxy.url}/api/v1/repos/o/r/actions/runs/0/logs", timeout=10)
            assert head.status_code == 400
    assert all("actions/runs" not in seen.path for seen in upstream.requests)


def test_mitmproxys_own_pages_are_closed(pair: tuple[Upstream, Proxy]) -> None:
    _, proxy = pair
    answer = requests.get(f"{proxy.url}/cert/pem", headers={"Host": "mitm.it"}, timeout=10)
    assert answer.headers["X-Upstream"] == "yes"


def _upload(proxy: Proxy, megabytes: int) -> bytes:
    """The answer to an upload with a length, written in parts."""
    host, port = proxy.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: {megabytes << 20}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(megabytes):
            connection.sendall(bytes(1 << 20))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def _peak_kilobytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")
