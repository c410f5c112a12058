"""Ordinary traffic is the same with and without the proxy: raw bytes, git, large uploads, memory.

`LARGE=1` takes a repository of 300 MB and an upload of 1 GB instead of small ones, and prints the memory.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.load import address
from tests.bench.processes import forget_peaks, peak
from tests.fidelity.cases import CASES, Case, Through
from tests.fidelity.git_server import GitServer
from tests.fidelity.wire import Await, Say, ScriptedUpstream, Seen, Send, Silence, ToBytes, ToEnd, Until
from tests.support.proxy import Proxy, raw, start_proxy
from tests.support.upstream import Upstream

LARGE = bool(os.environ.get("LARGE"))
REPOSITORY_MEGABYTES, UPLOAD_MEGABYTES = (300, 1024) if LARGE else (6, 40)
# What the proxy may take over what it had before, whatever goes through it.
MEMORY_MEGABYTES = 32
SEED = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def wire() -> Iterator[tuple[ScriptedUpstream, Proxy]]:
    with ScriptedUpstream() as upstream, start_proxy(upstream.url) as proxy:
        yield upstream, proxy


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_bytes(wire: tuple[ScriptedUpstream, Proxy], case: Case) -> None:
    upstream, proxy = wire
    direct = upstream.converse(upstream.url, case.client, case.servers)
    assert (direct.client_end, set(direct.server_end)) == ("done", {"done"}), "the scripts don't fit each other"
    if case.through is None:
        assert upstream.converse(proxy.url, case.client, case.servers) == direct
    else:
        assert _through(upstream, proxy, case, case.through) == _expected(direct, case.through)


def _through(upstream: ScriptedUpstream, proxy: Proxy, case: Case, through: Through) -> Seen:
    servers = case.servers if through.servers is None else through.servers
    return upstream.converse(proxy.url, through.client or case.client, servers)


def _expected(direct: Seen, through: Through) -> Seen:
    """A known difference. If a later mitmproxy removes it, this fails: then correct addon/docs/limits.md."""
    servers = len(direct.server_end) if through.servers is None else len(through.servers)
    return Seen(
        direct.at_server if through.at_server is None else through.at_server,
        direct.at_client if through.at_client is None else through.at_client,
        ("done",) * servers,
        through.client_end,
    )


def test_smuggled_requests_are_refused(wire: tuple[ScriptedUpstream, Proxy]) -> None:
    upstream, proxy = wire
    both = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    seen = upstream.converse(proxy.url, [Send(both), ToEnd()], [])
    assert seen.at_server == b"" and seen.at_client.startswith(b"HTTP/1.1 400 ")


def test_an_alternative_service_is_not_a_way_round(wire: tuple[ScriptedUpstream, Proxy]) -> None:
    upstream, proxy = wire
    answer = b'HTTP/1.1 200 OK\r\nAlt-Svc: h3=":443"; ma=1\r\nContent-Length: 2\r\n\r\nok'
    script = [[Until(b"\r\n\r\n"), Send(answer)]]
    seen = upstream.converse(proxy.url, [Send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Until(b"ok")], script)
    assert seen.at_client == answer.replace(b":443", b":%d" % address(proxy.url)[1])


def test_after_an_early_hint_no_answer_is_taken_for_another(wire: tuple[ScriptedUpstream, Proxy]) -> None:
    """The connections end with the 502, so what Forgejo says later reaches nobody."""
    upstream, proxy = wire
    request, hint = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"
    script = [[Until(b"\r\n\r\n"), Send(hint), ToEnd()]]
    seen = upstream.converse(proxy.url, [Send(request * 2), ToEnd()], script)
    assert seen.at_server == request and seen.server_end == ("done",)
    assert seen.at_client.startswith(b"HTTP/1.1 502 ") and seen.at_client.count(b"HTTP/1.1") == 1


def test_a_waiting_stream_is_silent_and_open(wire: tuple[ScriptedUpstream, Proxy]) -> None:
    upstream, proxy = wire
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    client = [Send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Until(head), Silence(), Say("waited")]
    seen = upstream.converse(proxy.url, client, [[Until(b"\r\n\r\n"), Send(head), Await("waited")]])
    assert (seen.at_client, seen.client_end) == (head, "done")


def test_an_upgraded_connection_is_not_kept(wire: tuple[ScriptedUpstream, Proxy]) -> None:
    upstream, proxy = wire
    upgrade = b"Connection: Upgrade\r\nUpgrade: odd\r\n\r\n"
    body = SEED * 2 * MEMORY_MEGABYTES + b"the end"
    client = [Send(b"GET / HTTP/1.1\r\nHost: x\r\n" + upgrade), Until(b"\r\n\r\n"), Send(body), Until(b"all")]
    server = [
        Until(b"\r\n\r\n"), Send(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade), ToBytes(len(body)), Send(b"all"),
    ]  # fmt: skip
    idle = forget_peaks(proxy.process.pid)
    seen = upstream.converse(proxy.url, client, [server])
    assert seen.at_server.endswith(body) and seen.client_end == "done"
    report("upgraded connection", 2 * MEMORY_MEGABYTES, idle, peak(proxy.process.pid))


SENT = b"X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.7\r\nX-WebAuth-User: root\r\nX-Kept: 1\r\n"


def test_only_trusted_proxies_tell_who_the_client_is() -> None:
    with (
        Upstream() as upstream,
        start_proxy(upstream.url, options={"actions_trusted_proxies": "192.0.2.0/24"}) as proxy,
    ):
        raw(proxy, b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + SENT + b"\r\n")
        headers = upstream.requests[-1].header_list
    assert headers == (
        ("Host", "x"), ("Connection", "close"), ("X-Kept", "1"),
        ("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1"), ("X-Forwarded-Proto", "http"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working copy with one large commit and a small one after it."""
    work = tmp_path_factory.mktemp("git") / "work"
    git("init", "-q", "-b", "main", str(work))
    with (work / "large.bin").open("wb") as file:
        for _ in range(REPOSITORY_MEGABYTES):
            file.write(os.urandom(1 << 20))
    for name in ("large.bin", "small.txt"):
        (work / "small.txt").write_text(name)
        git("-C", str(work), "add", name)
        git("-C", str(work), "commit", "-q", "-m", name)
    return work


def test_git_push_clone_and_shallow_clone(repository: Path, tmp_path: Path) -> None:
    root = tmp_path / "srv"
    for name in ("direct", "proxied"):
        git("init", "-q", "--bare", "-b", "main", str(root / f"{name}.git"))
        git("-C", str(root / f"{name}.git"), "config", "http.receivepack", "true")
    with GitServer(root) as url, start_proxy(url) as proxy:
        idle = forget_peaks(proxy.process.pid)
        heads = set()
        for name, base in (("direct", url), ("proxied", proxy.url)):
            git("-C", str(repository), "push", "-q", f"{base}/{name}.git", "main")
            git("clone", "-q", f"{base}/{name}.git", str(tmp_path / name))
            git("clone", "-q", "--depth", "1", f"{base}/{name}.git", str(tmp_path / f"{name}-shallow"))
            git("-C", str(tmp_path / name), "fsck", "--strict")
            assert git("-C", str(tmp_path / f"{name}-shallow"), "rev-list", "--count", "HEAD").strip() == "1"
            heads |= {git("-C", str(tmp_path / copy), "rev-parse", "HEAD^{tree}") for copy in (name, f"{name}-shallow")}
        report("git push, clone and shallow clone", REPOSITORY_MEGABYTES, idle, peak(proxy.process.pid))
    assert heads == {git("-C", str(repository), "rev-parse", "HEAD^{tree}")}


@pytest.mark.parametrize("head", ["Content-Length: %d", "Transfer-Encoding: chunked"])
def test_a_large_upload_arrives_whole(head: str) -> None:
    """As git-lfs and registries send them: the digest of what arrived, and the same asked for again."""
    with Upstream() as upstream, start_proxy(upstream.url) as proxy:
        idle = forget_peaks(proxy.process.pid)
        assert _digest_upstream(proxy, head) == _digest()
        report(f"upload, {head.partition(':')[0]}", UPLOAD_MEGABYTES, idle, peak(proxy.process.pid))


def _digest_upstream(proxy: Proxy, head: str) -> str:
    """What the upstream says of an upload in many parts."""
    chunked = "chunked" in head
    size = "" if chunked else UPLOAD_MEGABYTES << 20
    with socket.create_connection(address(proxy.url), timeout=60) as connection:
        line = head if chunked else head % size
        connection.sendall(f"PUT /digest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n\r\n".encode())
        for number in range(UPLOAD_MEGABYTES):
            part = _part(number)
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        answer = b""
        while data := connection.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return answer.rpartition(b"\r\n\r\n")[2].decode()


def _digest() -> str:
    digest = hashlib.sha256()
    for number in range(UPLOAD_MEGABYTES):
        digest.update(_part(number))
    return digest.hexdigest()


def _part(number: int) -> bytes:
    """A megabyte like no other."""
    return number.to_bytes(8, "big") + SEED[8:]


def report(what: str, size: int, idle: int, highest: int) -> None:
    """Prints the memory of the proxy with its application in the large mode; it may not grow with what goes through."""
    if LARGE:
        print(f"\n{what}, {size} MB: {idle} MB before, {highest} MB at most")
    assert highest - idle < MEMORY_MEGABYTES


def git(*arguments: str) -> str:
    """git's output; it reads no configuration of the user's, and never asks."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    settings = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "core.compression=0"]
    ran = subprocess.run(["git", *settings, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
