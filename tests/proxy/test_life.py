"""A proxy's life: started before Forgejo, a password that changes, a stop while much is under way."""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.double import Double, JobSpec
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import sample

DRAIN_SECONDS = 5


def test_a_start_before_forgejo_is_up(unique: str) -> None:
    """Extension paths and others get an error each, until it is there."""
    with Double(version="v15") as double:
        demo, admin = sample(double.world, unique), double.world.admin
        double.stop()
        with start_proxy(double.url, (admin.name, admin.password)) as proxy:
            header = {"Authorization": f"token {demo.reader}"}

            def status(path: str) -> int:
                return requests.get(proxy.url + path, headers=header, timeout=20).status_code

            logs, health = f"{demo.base}/1/logs", "/api/v1/actions-extensions/health"
            assert [status(logs), status(health), status("/api/v1/version")] == [502, 503, 502]
            double.start()
            patiently(lambda: status(logs) == 200)
            patiently(lambda: status(health) == 200)
            assert status("/api/v1/version") == 200


def test_a_password_that_changes(unique: str, tmp_path: Path) -> None:
    """The file is read at each sign-in; one that was wrong at first is found out too."""
    with Double(version="v15") as double:
        demo, user = sample(double.world, unique), double.world.user("service", "the-old", admin=True)
        file = tmp_path / "password"
        file.write_text("the-wrong\n")
        environment = {"FORGEJO_ADMIN_PASSWORD_FILE": str(file)}
        with start_proxy(double.url, (user.name, "unused"), environment=environment) as proxy:
            header = {"Authorization": f"token {demo.reader}"}

            def status() -> int:
                return requests.get(f"{proxy.url}{demo.base}/1/logs", headers=header, timeout=20).status_code

            assert status() == 502
            file.write_text("the-old\n")
            patiently(lambda: status() == 200)
            user.password = "the-new"
            assert status() == 200  # the session goes on
            double.restart()
            file.write_text("the-new\n")
            assert status() == 200


class Slow(http.server.BaseHTTPRequestHandler):
    """/chunked/N and /sized/N send N pieces, one each 0.2 s; /events has no end."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, _, number = self.path.strip("/").partition("/")
        count = int(number or 1000)
        self.send_response(200)
        if kind == "sized":
            self.send_header("Content-Length", str(5 * count))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Content-Type", "text/event-stream" if kind == "events" else "text/plain")
        self.end_headers()
        try:
            for _ in range(count):
                self.wfile.write(b"piece" if kind == "sized" else b"5\r\npiece\r\n")
                time.sleep(0.2)
            self.wfile.write(b"" if kind == "sized" else b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def slow() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def read(url: str, begun: threading.Semaphore) -> tuple[bytes, bool]:
    """What came, and whether it came to its end."""
    body = b""
    with requests.get(url, stream=True, timeout=30) as answer:
        try:
            for chunk in answer.iter_content(16):
                if not body:
                    begun.release()
                body += chunk
        except (requests.RequestException, http.client.HTTPException):
            return body, False
    return body, True


def stopped_with(proxy: Proxy, paths: list[str]) -> list[tuple[bytes, bool]]:
    """Asks for all of them, stops the proxy when each has begun, and waits for how they end."""
    begun = threading.Semaphore(0)
    with ThreadPoolExecutor(len(paths)) as pool:
        asked: list[Future[tuple[bytes, bool]]] = [pool.submit(read, proxy.url + path, begun) for path in paths]
        for _ in paths:
            assert begun.acquire(timeout=20)
        assert proxy.stop() == 0
        return [each.result() for each in asked]


def test_what_ends_in_time_ends_whole_and_the_rest_breaks_off(slow: str) -> None:
    """A stop is never taken for the end of a body."""
    with start_proxy(slow) as proxy:
        short, sized, long, long_sized, events = stopped_with(
            proxy, ["/chunked/8", "/sized/8", "/chunked/300", "/sized/300", "/events"]
        )
    assert short == sized == (b"piece" * 8, True)
    for body, whole in (long, long_sized, events):
        assert body.startswith(b"piece") and not whole


def test_events_are_not_waited_for(slow: str) -> None:
    """They have no end: a page that is open in some browser would make each stop a long one."""
    with start_proxy(slow) as proxy:
        ((body, whole),) = stopped_with(proxy, ["/events"])
    assert len(body) < 5 * DRAIN_SECONDS / 0.2 * 0.8 and not whole


def test_followers_are_told(unique: str) -> None:
    """A stream of the extension ends as a stream does, with the reason in its last event."""
    with Double(version="v15") as double:
        demo, admin = sample(double.world, unique), double.world.admin
        job = double.world.run(demo.repo, jobs=[JobSpec("long", steps=["go"])]).jobs[0]
        double.world.pick(job)
        double.world.step(job, 0, "running")
        double.world.log(job, "it goes on")
        with start_proxy(double.url, (admin.name, admin.password)) as proxy:
            url = f"{proxy.url}{demo.base}/latest/logs?follow=true"
            headers = {"Authorization": f"token {demo.reader}", "Accept": "text/event-stream"}
            with requests.get(url, headers=headers, stream=True, timeout=20) as answer:
                lines = answer.iter_lines(chunk_size=1)
                assert any(b"it goes on" in line for line in lines)
                with ThreadPoolExecutor() as pool:
                    stop = pool.submit(proxy.stop)
                    rest = b"\n".join(lines)
                    assert stop.result() == 0
            assert b"the proxy is being stopped" in rest


def test_a_stop_ends_listening_at_once(slow: str) -> None:
    """A balancer sees that this one is gone while it still serves what it has begun."""
    with start_proxy(slow) as proxy:
        port, begun = int(proxy.url.rpartition(":")[2]), threading.Semaphore(0)
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(read, f"{proxy.url}/chunked/15", begun)
            assert begun.acquire(timeout=20)
            stop = pool.submit(proxy.stop)
            patiently(lambda: not listens(port))
            assert not asked.done()
            assert asked.result() == (b"piece" * 15, True) and stop.result() == 0


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def patiently(condition: Callable[[], bool], patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
