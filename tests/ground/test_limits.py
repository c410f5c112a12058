"""Places, waiting and refusing: nobody who is slow, and no crowd, keeps the others out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import requests

from addon.errors import Busy
from addon.limits import Limiter
from tests.conftest import MAIN
from tests.double import Double, Fault, JobSpec
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample

LOG_BYTES = 64 << 20
THREADS = 4


def test_a_limiter_refuses_who_waited_in_vain() -> None:
    limiter = Limiter("things", 2, patience=0.01)
    with limiter.acquire(), limiter.acquire() as second:
        with pytest.raises(Busy, match="too many things") as caught:
            limiter.acquire()
        assert int(caught.value.headers["Retry-After"]) > 0
        second.release()
        second.release()  # gives back no more than one place
        with limiter.acquire(), pytest.raises(Busy):
            limiter.acquire()


def test_a_released_slot_goes_to_who_waits() -> None:
    limiter = Limiter("things", 1, patience=10)
    slot = limiter.acquire()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(limiter.acquire)
        slot.release()
        waiting.result().release()


@contextmanager
def small(version: str = "v15", **options: str) -> Iterator[tuple[Double, Proxy, Sample, dict[str, str]]]:
    """A proxy of few threads, warmed up, with a sample repository and its reader's headers."""
    with Double(version=version) as double:
        demo, admin = sample(double.world, "limits"), double.world.admin
        with start_proxy(
            double.url, (admin.name, admin.password), {"actions_threads": str(THREADS), **options}
        ) as proxy:
            headers = {"Authorization": f"token {demo.reader}"}
            assert requests.get(f"{proxy.url}{demo.base}/1/logs", headers=headers, timeout=20).status_code == 200
            yield double, proxy, demo, headers


def slow_reader(proxy: Proxy, path: str, headers: dict[str, str]) -> socket.socket:
    """A client that asks for a log and then reads next to nothing of it."""
    host, port = proxy.url.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect((host, int(port)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def test_slow_readers_of_logs_stop_nobody_else() -> None:
    """They have places of their own. One too many waits, and is refused; when one leaves there is a place again."""
    with small() as (double, proxy, demo, headers), ExitStack() as open_clients:
        run = double.world.run(demo.repo, jobs=[JobSpec("big")])
        double.world.big_log(run.jobs[0], LOG_BYTES)
        path = f"{demo.base}/{run.index}/logs"
        clients = [open_clients.enter_context(slow_reader(proxy, path, headers)) for _ in range(THREADS)]
        with ThreadPoolExecutor() as pool:
            refused = pool.submit(requests.get, proxy.url + path, headers=headers, timeout=30)
            for _ in range(3):
                jobs = requests.get(f"{proxy.url}{demo.base}/1/jobs", headers=headers, timeout=5)
                assert jobs.status_code == 200
            assert refused.result().status_code == 503 and int(refused.result().headers["Retry-After"]) > 0
        clients[0].close()
        short = requests.get(f"{proxy.url}{demo.base}/1/logs", headers=headers, timeout=20)
        assert short.status_code == 200


def test_idle_clients_stop_nobody_else() -> None:
    """The proxy keeps a connection to the application for each client that keeps one to it."""
    with small() as (_, proxy, demo, headers), ExitStack() as sessions:
        for _ in range(130):
            session = sessions.enter_context(requests.Session())
            assert session.get(f"{proxy.url}{demo.base}/0/logs", timeout=5).status_code == 400
        assert requests.get(f"{proxy.url}{demo.base}/1/jobs", headers=headers, timeout=5).status_code == 200


def test_a_crowd_before_a_stuck_forgejo_is_refused_in_time() -> None:
    """Every caller gets an answer of the table, and Forgejo is never asked more than so many things at once."""
    with small(actions_timeout="30") as (double, proxy, demo, headers):
        running, most, lock = [0], [0], threading.Lock()
        stuck = threading.Event()

        def hold(*_: object) -> None:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            stuck.wait(25)
            with lock:
                running[0] -= 1

        double.faults.append(Fault(match=r"^GET /api/v1/repos", kind="call", value=hold, times=999))
        with ThreadPoolExecutor(40) as pool:
            url = f"{proxy.url}{demo.base}/1/jobs"
            asked = [pool.submit(requests.get, url, headers=headers, timeout=60) for _ in range(40)]
            statuses = []
            for each in asked[THREADS:]:
                statuses.append(each.result().status_code)
                if statuses.count(503) == 5:
                    stuck.set()  # the rest may be served after all
            statuses += [each.result().status_code for each in asked[:THREADS]]
        assert set(statuses) <= {200, 503} and 503 in statuses and 200 in statuses
        assert most[0] <= THREADS // 2
        assert requests.get(url, headers=headers, timeout=20).status_code == 200


def test_a_failing_sign_in_is_not_tried_by_everybody() -> None:
    with Double(version="v15") as double:
        demo, admin = sample(double.world, "limits"), double.world.admin
        double.faults.append(Fault(match="^POST /user/login", kind="status", value=500, times=999))
        with start_proxy(double.url, (admin.name, admin.password)) as proxy, ThreadPoolExecutor(20) as pool:
            url, headers = f"{proxy.url}{demo.base}/1/jobs", {"Authorization": f"token {demo.reader}"}
            asked = [pool.submit(requests.get, url, headers=headers, timeout=20) for _ in range(20)]
            assert {each.result().status_code for each in asked} == {502}
            assert sum(seen.path == "/user/login" and seen.method == "POST" for seen in double.requests) == 1
            double.faults.clear()
            while requests.get(url, headers=headers, timeout=20).status_code == 502:
                threading.Event().wait(0.1)
            assert requests.get(url, headers=headers, timeout=20).status_code == 200


@pytest.mark.parametrize("version", MAIN)
def test_a_flood_of_strangers_costs_one_probe_each(version: str) -> None:
    with small(version) as (double, proxy, demo, _), ThreadPoolExecutor(16) as pool:
        headers = {"Authorization": f"token {demo.stranger}"}
        urls = [f"{proxy.url}{demo.base}/{tail}" for tail in ("latest", "1/logs", "2/jobs", "1/summary")] * 25
        double.forget_requests()
        asked = [pool.submit(requests.get, url, headers=headers, timeout=30) for url in urls]
        assert {each.result().status_code for each in asked} == {404}
        assert len(double.requests) == len(urls) and double.requests_by_session() == []
