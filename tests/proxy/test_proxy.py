"""The proxy fails closed: whatever is broken, an extension path is never answered by Forgejo in the extension's place."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from mitmproxy import http
from mitmproxy.test import tflow

import addon.proxy.addon
from addon.proxy.supervisor import Supervisor
from addon.settings import Settings
from tests.double import Double
from tests.support.proxy import raw, soon, start_proxy
from tests.support.sample import sample
from tests.support.upstream import Upstream

PATH = "/api/v1/repos/org/repo/actions/runs/latest/logs"


def test_a_lost_addon_is_a_503() -> None:
    with Upstream() as upstream, start_proxy(upstream.url, options={"scripts": []}, listening=False) as proxy:
        proxy.url = _listening_port(proxy.process.pid)
        for path, host in (
            (PATH, "x"),
            (PATH, "a/b"),
            (PATH, "a?b"),
            ("//api/v1//repos/o/r/actions/runs/1/rerun", "x"),
            ("/api/v1/repos/o/r/actions/runs/by-number/1", "x"),
            ("/%61pi/v1/repos/o/r/actions/runs/latest", "x"),
            ("/api/v1/repos/o/r/actions/runs/l%61test/rerun", "a?b"),
        ):
            text = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            assert raw(proxy, text.encode()).startswith(b"HTTP/1.1 503 "), (path, host)
        assert requests.get(proxy.url + "/ordinary", timeout=10).status_code == 200
        assert [seen.path for seen in upstream.requests] == ["/ordinary"]


def test_a_killed_application_comes_back() -> None:
    with Upstream() as upstream, start_proxy(upstream.url) as proxy:
        (child,) = _children(proxy.process.pid)
        requests.get(f"{proxy.url}/ordinary", timeout=10)  # an error logged during mitmproxy's start would end it
        os.kill(child, signal.SIGKILL)
        statuses: set[int] = set()

        def recovered() -> bool:
            answer = requests.get(f"{proxy.url}/api/v1/repos/org/repo/actions/runs/0/logs", timeout=10)
            statuses.add(answer.status_code)
            return answer.status_code == 400

        _wait_until(recovered)
        assert statuses <= {400, 502, 503}
        assert {seen.path for seen in upstream.requests} <= {"/api/v1/version", "/ordinary"}


@pytest.mark.parametrize("head", ["Content-Length: 3000000", "Transfer-Encoding: chunked"])
def test_a_large_body_is_thrown_away(head: str) -> None:
    with Upstream() as upstream, start_proxy(upstream.url) as proxy:
        assert raw(proxy, _large(head)).startswith(b"HTTP/1.1 400 ")
        with requests.Session() as session:  # nor does it leave the connection hanging
            for _ in range(3):
                rerun = f"{proxy.url}/api/v1/repos/org/repo/actions/runs/0/rerun"
                assert session.post(rerun, data=bytes(3_000_000), timeout=10).status_code == 400
                assert session.get(f"{proxy.url}/ordinary", timeout=10).headers["X-Upstream"] == "yes"
        assert "Traceback" not in proxy.log()
        assert all("runs/0" not in seen.path for seen in upstream.requests)


@pytest.mark.parametrize(
    ("method", "headers", "killed", "body"),
    [
        ("GET", {}, False, True),
        ("HEAD", {}, False, False),
        ("POST", {"Content-Length": "9"}, False, True),
        ("POST", {"Content-Length": "65537"}, True, True),
        ("POST", {"Content-Length": "many"}, True, True),
        ("POST", {"Transfer-Encoding": "chunked"}, True, True),
    ],
)
def test_without_an_application(
    monkeypatch: pytest.MonkeyPatch, method: str, headers: dict[str, str], killed: bool, body: bool
) -> None:
    """A 503; to a large body mitmproxy can't give one, and would hang if it tried."""
    monkeypatch.setattr(addon.proxy.addon, "START_SECONDS", 0)
    flow = tflow.tflow()
    flow.request = http.Request.make(method, "http://forge" + PATH)
    flow.request.headers.update(headers)
    asyncio.run(addon.proxy.addon.ActionsExtension().requestheaders(flow))
    assert (flow.error is not None) == killed and not flow.request.stream
    assert flow.response is not None and flow.response.status_code == 503
    assert flow.response.headers["Retry-After"] == "1" and "X-Actions-Extension" in flow.response.headers
    assert bool(flow.response.content) == body and int(flow.response.headers["Content-Length"]) > 0


def test_the_application_ends_with_the_proxy() -> None:
    with Upstream() as upstream, start_proxy(upstream.url) as proxy:
        (child,) = _children(proxy.process.pid)
        proxy.process.kill()
        proxy.process.wait()
        _wait_until(lambda: not _alive(child))


def test_a_graceful_stop() -> None:
    with Upstream() as upstream, start_proxy(upstream.url) as proxy:
        assert proxy.stop() == 0
        assert "Traceback" not in proxy.log()


def test_the_applications_port_grants_nothing() -> None:
    with Upstream() as upstream, start_proxy(upstream.url) as proxy:
        (child,) = _children(proxy.process.pid)
        port = _listening_port(child)
        for headers in ({}, {"X-Actions-Secret": "0" * 64}):
            assert requests.get(port + PATH, headers=headers, timeout=10).status_code == 403
        assert requests.get(proxy.url + PATH, headers={"X-Actions-Secret": "x"}, timeout=10).status_code != 403
        assert all("X-Actions-Secret" not in seen.headers for seen in upstream.requests)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"actions_defualt_attempt": "1"}, "did you mean actions_default_attempt?"),
        ({"actions_timeout": "soon"}, "a whole number from 1 to 3600"),
        ({"mode": ["regular@127.0.0.1:0"]}, "mode must be one reverse mode"),
    ],
)
def test_a_wrong_option_stops_the_start(options: dict[str, object], message: str) -> None:
    with start_proxy("http://127.0.0.1:9", options=options, listening=False) as proxy:
        assert proxy.process.wait(20) == 1
        _wait_until(lambda: message in proxy.log())


def test_in_the_native_setting_the_extension_answers_while_the_version_is_unknown() -> None:
    """It can answer on every version; which routes Forgejo has is not known."""
    with Upstream() as upstream, start_proxy(upstream.url, options={"actions_collisions": "native"}) as proxy:
        base = f"{proxy.url}/api/v1/repos/org/repo/actions/runs"
        for tail in ("42/logs", "0/summary"):
            assert "X-Upstream" not in requests.get(f"{base}/{tail}", timeout=10).headers


@pytest.mark.parametrize(
    ("version", "setting", "said"),
    [
        ("v15", "extension", "takes run numbers; for database ids, set actions_collisions: native"),
        ("v17", "extension", "takes run numbers (Forgejo 17 itself: ids for jobs, logs, artifacts, cancel, rerun)"),
        ("v15", "native", "takes database ids, like Forgejo's own API; run numbers: runs/by-number/{number}/…"),
    ],
)
def test_the_start_says_what_a_run_is(version: str, setting: str, said: str) -> None:
    with Double(version=version) as double, start_proxy(double.url, options={"actions_collisions": setting}) as proxy:
        _wait_until(lambda: f"runs/{{x}}/… {said}" in proxy.log())


def test_the_start_says_it_also_where_strangers_may_not_ask_for_the_version() -> None:
    with Double(version="v16") as double:
        double.settings.REQUIRE_SIGNIN_VIEW = True
        with start_proxy(double.url) as proxy:
            _wait_until(lambda: "(Forgejo 16 itself: ids for " in proxy.log())


def test_an_upgrade_of_forgejo_is_said_again(capfd: pytest.CaptureFixture[str]) -> None:
    lines = [{"port": 1, "major": 15}, {"major": 15}, {"major": 17}]
    script = f"for line in {[json.dumps(line) for line in lines]}:\n    print(line, flush=True)\ninput()"

    async def upgraded() -> None:
        supervisor = Supervisor(Settings("http://127.0.0.1:1"), (sys.executable, "-c", script))
        await supervisor.start()
        await soon(lambda: supervisor.major == 17)
        await supervisor.stop()

    asyncio.run(upgraded())
    said = [line for line in capfd.readouterr().err.splitlines() if "runs/{x}/…" in line]
    assert len(said) == 1 and "(Forgejo 17 itself: ids for " in said[0]


@pytest.mark.parametrize("version", ["v16", "v17"])
def test_native_answers_pass_through_byte_for_byte(version: str) -> None:
    """In the native setting a database id is Forgejo's own business, and by-number stays the extension's."""
    with (
        Double(version=version) as double,
        start_proxy(
            double.url,
            admin=(double.world.admin.name, double.world.admin.password),
            options={"actions_collisions": "native"},
        ) as proxy,
    ):
        demo = sample(double.world, "native")
        headers = {"Authorization": f"token {demo.reader}"}
        path = f"{demo.base}/{demo.runs['green'].id}/jobs"
        direct = requests.get(double.url + path, headers=headers, timeout=10)
        through = requests.get(proxy.url + path, headers=headers, timeout=10)
        assert (through.status_code, through.content) == (direct.status_code, direct.content)
        assert direct.json()[0]["name"] == "build"
        double.world.artifact(demo.runs["failed"], "report", b"zip")
        path = f"{demo.base}/{demo.runs['failed'].id}/artifacts"
        native = [requests.get(url + path, headers=headers, timeout=10) for url in (double.url, proxy.url)]
        assert native[0].content == native[1].content and native[0].json()[0]["id"]
        busy = double.world.run(demo.repo)
        writer = {"Authorization": f"token {demo.writer}"}
        cancel = requests.post(f"{proxy.url}{demo.base}/{busy.id}/cancel", headers=writer, timeout=10)
        assert cancel.status_code == 204 and busy.done  # Forgejo's own answer
        done = requests.post(f"{proxy.url}{demo.base}/by-number/{busy.index}/cancel", headers=writer, timeout=10)
        assert done.status_code == 409 and "X-Actions-Extension" in done.headers
        green = demo.runs["green"]
        rerun = requests.post(f"{proxy.url}{demo.base}/{green.id}/rerun", headers=writer, timeout=10)
        assert (rerun.status_code, rerun.content) == (204, b"") and not green.done
        assert ("X-Actions-Extension" in rerun.headers) is (version == "v16")  # which has no such route
        ours = requests.get(f"{proxy.url}{demo.base}/by-number/1/jobs", headers=headers, timeout=10)
        assert ours.json()["total_count"] == 4


def test_a_stop_lets_requests_finish() -> None:
    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            time.sleep(1)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    asked = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    with start_proxy(f"http://127.0.0.1:{server.server_address[1]}") as proxy, ThreadPoolExecutor() as pool:
        (child,) = _children(proxy.process.pid)
        assert os.getpgid(child) != os.getpgid(proxy.process.pid)  # Ctrl-C reaches a whole group
        asked.clear()
        answer = pool.submit(requests.get, proxy.url + PATH, timeout=20)
        assert asked.wait(10)
        assert proxy.stop() == 0
        assert "X-Actions-Extension" in answer.result().headers
        assert not _alive(child)
    server.shutdown()
    server.server_close()


def _large(head: str) -> bytes:
    """A request whose body is larger than what mitmproxy would buffer."""
    size = 3_000_000
    body = bytes(size) if head.startswith("Content-Length") else b"%x\r\n%s\r\n0\r\n\r\n" % (size, bytes(size))
    path = "/api/v1/repos/org/repo/actions/runs/0/rerun"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n".encode() + body


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True)
    return [int(line) for line in found.stdout.split()]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _listening_port(pid: int) -> str:
    """Where a process listens, from the kernel's table."""
    found: list[str] = []

    def look() -> bool:
        found[:] = _listening(pid)
        return bool(found)

    _wait_until(look)
    return f"http://127.0.0.1:{found[0]}"


def _listening(pid: int) -> list[str]:
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []
    inodes = {link[8:-1] for link in links if link.startswith("socket:")}
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in list(table)[1:]]
    return [str(int(row[1].rpartition(":")[2], 16)) for row in rows if row[3] == "0A" and row[9] in inodes]


def _wait_until(condition: Callable[[], bool], patience: float = 20) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
