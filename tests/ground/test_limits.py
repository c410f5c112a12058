"""Places, waiting and refusing: nobody who is slow, and no crowd, keeps the others out."""

from __future__ import annotations

import base64
import contextlib
import gc
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests

from addon import trace
from addon.caller import Caller
from addon.errors import Busy
from addon.limits import Limiter, Slot
from tests.conftest import MAIN
from tests.double import Double, Fault, JobSpec
from tests.double.model import Run
from tests.support.proxy import Proxy, eventually, start_proxy
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


class Forgotten:
    """Holds a slot, and can only be freed by the garbage collector."""

    def __init__(self, slot: Slot) -> None:
        self._slot, self._itself = slot, self

    def __del__(self) -> None:
        self._slot.release()


def test_the_garbage_collector_may_release_a_slot_at_any_time() -> None:
    """Also in a thread that is just taking or releasing one."""
    limiter = Limiter("things", 2000)

    def forget_many() -> None:
        for number in range(1000):
            gc.set_threshold(1 + number % 20)  # so that it runs at each place of the code once
            Forgotten(limiter.acquire())
            limiter.acquire().release()

    before = gc.get_threshold()
    try:
        threads = [threading.Thread(target=forget_many, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads), "a thread waits for itself"
    finally:
        gc.set_threshold(*before)
    gc.collect()
    with ExitStack() as stack:
        for _ in range(2000):
            stack.enter_context(limiter.acquire())


@pytest.fixture
def asking() -> Iterator[Callable[[Caller], None]]:
    """Makes a caller the one whose request this thread handles."""
    seen = trace.begin()
    yield lambda caller: setattr(seen, "shares", caller.shares)
    trace.end()


def with_token(token: str, form: str = "token") -> Caller:
    return Caller({"Authorization": f"{form} {token}", "X-Forwarded-For": "192.0.2.1"})


def from_address(address: str, **credentials: str) -> Caller:
    return Caller({"X-Forwarded-For": f"203.0.113.7, {address}"} | credentials)


def basic(name: str, password: str) -> Caller:
    return with_token(base64.b64encode(f"{name}:{password}".encode()).decode(), "Basic")


def acquired(limiter: Limiter, ask: Callable[[Caller], None], callers: Iterable[Caller]) -> list[bool]:
    """Whether each of these callers gets a slot, which it keeps."""
    found = []
    for caller in callers:
        ask(caller)
        try:
            limiter.acquire()
            found.append(True)
        except Busy:
            found.append(False)
    return found


def test_one_credential_has_half_of_the_slots(asking: Callable[[Caller], None]) -> None:
    limiter = Limiter("things", 4, patience=0)
    same = [with_token("t1"), with_token("t1", "bearer"), Caller({"Authorization": "token  t1 "}, {"token": "random"})]
    assert acquired(limiter, asking, same) == [True, True, False]
    assert acquired(limiter, asking, [basic("somebody", "t1"), basic("t1", "x-oauth-basic")]) == [False, False]
    others = [with_token(f"t{number}") for number in range(2, 5)]
    assert acquired(limiter, asking, others) == [True, True, False]


def test_the_anonymous_have_a_quarter_and_each_address_half_of_it(asking: Callable[[Caller], None]) -> None:
    limiter = Limiter("things", 16, patience=0)
    network = [from_address(f"2001:db8::{number}") for number in (1, 2, 3)]
    assert acquired(limiter, asking, network) == [True, True, False]
    others = [from_address(f"192.0.2.{number}") for number in (1, 2, 3)]
    assert acquired(limiter, asking, others) == [True, True, False]
    assert acquired(limiter, asking, [with_token("t1")]) == [True]
    # Forgejo ignores what is no credential, and may be set to ignore other forms than a header with a token.
    ignored = [
        from_address("192.0.2.9", Authorization="Nonsense 1"),
        from_address("192.0.2.9", Authorization="token a b"),
        Caller({}, {"token": "random"}),
        basic("somebody", "random"),
    ]
    assert acquired(limiter, asking, ignored) == [False] * 4


def test_the_applications_own_threads_take_any_slot() -> None:
    limiter = Limiter("things", 2, patience=0)
    with limiter.acquire(), limiter.acquire(), pytest.raises(Busy):
        limiter.acquire()


def test_a_released_slot_goes_to_who_waits(asking: Callable[[Caller], None]) -> None:
    limiter = Limiter("things", 2, patience=10)
    asking(with_token("t1"))
    slot, shares = limiter.acquire(), trace.current().shares
    with ThreadPoolExecutor(1, initializer=lambda: setattr(trace.begin(), "shares", shares)) as pool:
        waiting = pool.submit(limiter.acquire)
        slot.release()
        waiting.result().release()
    impatient = Limiter("things", 2, patience=1000, most_waiting=0)
    with impatient.acquire(), pytest.raises(Busy, match="for one caller"):
        impatient.acquire()  # at once: too many wait already


def test_who_asks_for_little_overtakes_who_asks_for_much(asking: Callable[[Caller], None]) -> None:
    limiter, order = Limiter("things", 4, patience=10), []

    def take(caller: Caller) -> None:
        trace.begin().shares = caller.shares
        with limiter.acquire():
            order.append(caller)

    greedy, modest = with_token("t1"), with_token("t2")
    asking(greedy)
    with ThreadPoolExecutor(8) as pool, limiter.acquire(), limiter.acquire():
        for _ in range(6):
            pool.submit(take, greedy)
        pool.submit(take, modest).result()
    assert order[0] is modest and len(order) == 7


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


def tokens(double: Double, demo: Sample, count: int) -> list[dict[str, str]]:
    """The headers of so many members, who may all read."""
    user = next(user for user in demo.repo.collaborators if user.name.startswith("reader"))
    return [{"Authorization": f"token {double.world.token(user, 'all')}"} for _ in range(count)]


def slow_reader(proxy: Proxy, path: str, headers: dict[str, str]) -> tuple[socket.socket, bytes]:
    """A client that asks for a log and then reads next to nothing of it, and the status."""
    host, port = proxy.url.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect((host, int(port)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    return client, client.recv(12)[-3:]


def big_log(double: Double, repo: Any) -> Run:
    run: Run = double.world.run(repo, jobs=[JobSpec("big")])
    double.world.big_log(run.jobs[0], LOG_BYTES)
    return run


def test_slow_readers_of_logs_stop_nobody_else() -> None:
    """They have places of their own. One too many waits, and is refused; when one leaves there is a place again."""
    with small() as (double, proxy, demo, headers), ExitStack() as open_clients:
        path = f"{demo.base}/{big_log(double, demo.repo).index}/logs"
        readers = [slow_reader(proxy, path, member) for member in tokens(double, demo, THREADS)]
        clients = [open_clients.enter_context(client) for client, _ in readers]
        assert [status for _, status in readers] == [b"200"] * THREADS
        with ThreadPoolExecutor() as pool:
            refused = pool.submit(requests.get, proxy.url + path, headers=headers, timeout=30)
            for _ in range(3):
                jobs = requests.get(f"{proxy.url}{demo.base}/1/jobs", headers=headers, timeout=5)
                assert jobs.status_code == 200
            assert refused.result().status_code == 503 and int(refused.result().headers["Retry-After"]) > 0
        clients[0].close()
        short = requests.get(f"{proxy.url}{demo.base}/1/logs", headers=headers, timeout=20)
        assert short.status_code == 200


def test_strangers_take_only_a_part() -> None:
    """Readers that never read, followers and waiting requests, all without credentials, from many addresses."""
    with small(actions_threads="8", actions_followers="8") as (double, proxy, demo, headers), ExitStack() as clients:
        public = double.world.repo(f"{demo.repo.owner.name}/public", private=False)
        run = big_log(double, public)
        base = f"/api/v1/repos/{public.full_name}/actions/runs"
        tails = (f"{run.index}/logs", f"{run.index}/logs?follow=true")
        asked = [(tail, {"X-Forwarded-For": f"192.0.2.{number}"}) for tail in tails for number in range(8)]
        with ThreadPoolExecutor(len(asked)) as pool:
            readers = list(pool.map(lambda each: slow_reader(proxy, f"{base}/{each[0]}", each[1]), asked))
        for client, _ in readers:
            clients.enter_context(client)
        assert [[s for _, s in readers[start : start + 8]].count(b"200") for start in (0, 8)] == [2, 2]

        def wait(seconds: int, headers: dict[str, str]) -> int:
            url = f"{proxy.url}{base}/latest?branch=never&wait={seconds}"
            return requests.get(url, headers=headers, timeout=30).status_code

        with ThreadPoolExecutor(8) as pool:
            waits = [pool.submit(wait, 5, {"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(8)]
            eventually(lambda: sum(each.done() for each in waits) >= 6)
            assert wait(1, headers) == 404
            assert sorted(each.result() for each in waits) == [404] * 2 + [503] * 6
        for tail in tails:
            answer = requests.get(f"{proxy.url}{demo.base}/1/{tail.partition('/')[2]}", headers=headers, timeout=5)
            assert answer.status_code == 200


def test_a_response_that_nobody_reads_ends() -> None:
    """Its place is free again; a follower's stream that has nothing to say goes on."""
    with small(actions_read_timeout="1") as (double, proxy, demo, headers), ExitStack() as clients:
        running = double.world.run(demo.repo, jobs=[JobSpec("quiet")])
        double.world.pick(running.jobs[0])
        double.world.log(running.jobs[0], "first")
        follow = f"{proxy.url}{demo.base}/{running.index}/logs?follow=true"
        answer = clients.enter_context(requests.get(follow, headers=headers, timeout=30, stream=True))
        parts = answer.iter_content(None)
        assert b"first" in next(parts)
        path = f"{demo.base}/{big_log(double, demo.repo).index}/logs"
        member = tokens(double, demo, 1)[0]
        readers = [slow_reader(proxy, path, member) for _ in range(THREADS // 2)]
        assert [status for _, status in readers] == [b"200", b"200"]
        client = clients.enter_context(readers[0][0])
        clients.enter_context(readers[1][0])
        short = f"{proxy.url}{demo.base}/1/logs"
        eventually(lambda: requests.get(short, headers=member, timeout=20).status_code == 200)
        eventually(lambda: proxy.log().count("broken-off") == 2)  # one that is read now would not end
        client.settimeout(20)
        received = 0
        with contextlib.suppress(ConnectionError):
            while part := client.recv(1 << 20):
                received += len(part)
        assert received < LOG_BYTES
        double.world.log(running.jobs[0], "second")
        assert b"second" in next(part for part in parts if part)


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
