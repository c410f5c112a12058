"""Waiting for a run, on every version: what ends it, what it costs Forgejo, and who may not."""

from __future__ import annotations

import functools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from addon.actions import polling, waiting
from addon.api.composition import build, connect
from addon.api.routes import parse
from addon.caller import Caller
from addon.errors import ClientDisconnected, NotFound, Unauthorized
from addon.inherited.other_traffic import OtherTraffic
from addon.model import Repo
from addon.settings import Settings
from tests.conftest import Target
from tests.double import Double, Fault, JobSpec
from tests.double.rerun import rerun
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample

PATIENCE = 20.0
WAITERS = 20
JOBS = (JobSpec("first"), JobSpec("second", needs=["first"]))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextmanager
def asked(target: Target, path: str, token: str, **query: Any) -> Iterator[Future[requests.Response]]:
    """A request that is under way."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit(target.request, "GET", path, token, params=query)


def looks(double: Double, demo: Sample, number: int) -> int:
    """How often the session has seen the run's page."""
    page = re.compile(rf"/{demo.repo.full_name}/actions/runs/{number}/jobs/0(/attempt/[0-9]+)?")
    shown = (seen for seen in double.requests_by_session() if seen.method == "GET" and seen.status == 200)
    return sum(page.fullmatch(seen.path) is not None for seen in shown)


def play(world: Any, run: Any) -> None:
    for job in run.jobs:
        world.play(job, "success", [["x"]])


def test_a_run_that_is_done_is_not_waited_for(target: Target, demo: Sample) -> None:
    target.double.forget_requests()
    for tail in ("1/jobs", "1/summary", "by-number/1", "latest", "1/jobs/test"):
        answer = target.request("GET", f"{demo.base}/{tail}?wait=60", demo.reader)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["done"] is True if "done" in told else told["run"]["done"]
    assert looks(target.double, demo, 1) <= 10


@pytest.mark.parametrize(("tail", "done"), [("", ["done"]), ("/jobs", ["done"]), ("/summary", ["run", "done"])])
def test_the_answer_comes_when_the_run_is_done(target: Target, demo: Sample, tail: str, done: list[str]) -> None:
    world = target.world
    run = world.run(demo.repo, jobs=JOBS)
    with asked(target, f"{demo.base}/latest{tail}", demo.reader, wait=60) as answer:
        wait_until(lambda: looks(target.double, demo, run.index) >= 2)
        world.play(run.jobs[0], "success", [["x"]])
        before = looks(target.double, demo, run.index)
        wait_until(lambda: looks(target.double, demo, run.index) >= before + 2)
        assert not answer.done()
        world.play(run.jobs[1], "failure", [["x"]])
        told = answer.result().json()
    assert "wait;dur=" in answer.result().headers["Server-Timing"]
    for name in done:
        told = told[name]
    assert told is True
    if not tail:
        assert answer.result().json()["conclusion"] == "failure"
        assert (answer.result().json()["completed_at"] is not None) == (target.number >= 12)


def test_at_the_deadline_the_answer_is_the_present_state(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=JOBS)
    waited = target.request("GET", f"{demo.base}/{run.index}/jobs?wait=1", demo.reader).json()
    assert waited["done"] is False and [job["status"] for job in waited["jobs"]] == ["waiting", "blocked"]
    assert target.request("GET", f"{demo.base}/latest?wait=0", demo.reader).json()["done"] is False


def test_waiting_for_the_start(target: Target, demo: Sample) -> None:
    world = target.world
    run = world.run(demo.repo, jobs=JOBS)
    with asked(target, f"{demo.base}/latest", demo.reader, wait=60, wait_for="started") as answer:
        wait_until(lambda: looks(target.double, demo, run.index) >= 2)
        assert not answer.done()
        world.pick(run.jobs[0])
        told = answer.result().json()
    assert (told["status"], told["done"]) == ("running", False)


def test_waiting_for_one_job(target: Target, demo: Sample) -> None:
    world = target.world
    run = world.run(demo.repo, jobs=JOBS)
    with (
        asked(target, f"{demo.base}/{run.index}/jobs/first", demo.reader, wait=60) as one,
        asked(target, f"{demo.base}/{run.index}/jobs", demo.reader, job="first", wait=60) as listed,
    ):
        wait_until(lambda: looks(target.double, demo, run.index) >= 3)
        world.play(run.jobs[0], "success", [["x"]])
        assert (one.result().json()["done"], one.result().json()["conclusion"]) == (True, "success")
        assert listed.result().json()["done"] is True
    unknown = target.request("GET", f"{demo.base}/{run.index}/jobs/none?wait=60", demo.reader)
    assert unknown.status_code == 404 and "no job named" in unknown.json()["message"]


@pytest.mark.parametrize("target", ["v17"], indirect=True)
def test_a_state_that_was_polled_too_early_is_polled_again(target: Target, demo: Sample) -> None:
    """The shared poll begins, a second request sees the job still running, the job ends, and the poll tells of the end.

    For the second request, that poll may be from before a rerun, so it must be confirmed by the next one.
    """
    world, double = target.world, target.double
    run = world.run(demo.repo, jobs=JOBS[:1])
    url, second = f"{demo.base}/{run.index}/jobs", []

    def meanwhile() -> None:
        before = looks(double, demo, run.index)
        second.append(pool.submit(target.request, "GET", url, demo.writer, params={"wait": 60}))
        wait_until(lambda: looks(double, demo, run.index) > before)
        play(world, run)

    with ThreadPoolExecutor() as pool, asked(target, url, demo.reader, wait=60) as first:
        wait_until(lambda: looks(double, demo, run.index) >= 2)
        page = rf"/{demo.repo.full_name}/actions/runs/{run.index}/jobs/0"
        double.faults.append(Fault(match=page, kind="call", value=meanwhile))
        assert first.result().json()["done"] is True
        assert second[0].result().json()["done"] is True


def test_many_waiters_cost_the_looks_of_one(target: Target, demo: Sample) -> None:
    world, double = target.world, target.double
    run = world.run(demo.repo, jobs=JOBS)
    with ThreadPoolExecutor(WAITERS) as pool:
        url = f"{demo.base}/{run.index}/jobs?wait=60"
        answers = [pool.submit(target.request, "GET", url, demo.reader) for _ in range(WAITERS)]
        wait_until(lambda: looks(double, demo, run.index) > WAITERS)  # each looks once for itself
        begun, before = time.monotonic(), looks(double, demo, run.index)
        wait_until(lambda: looks(double, demo, run.index) >= before + 3)
        passed, more = time.monotonic() - begun, looks(double, demo, run.index) - before
        assert more <= passed / polling.FAST + WAITERS // 4
        play(world, run)
        assert [answer.result().json()["done"] for answer in answers] == [True] * WAITERS


def test_nobody_polls_with_the_credentials_of_who_has_left(target: Target, demo: Sample) -> None:
    """Forgejo is asked for the actor's account as the caller, so only those with the same credentials share that."""
    actor = target.world.tokens[demo.stranger].user
    path, query = f"{demo.base}/latest", f"actor={actor.name}&status=failure&wait=60"

    def asked_by(role: str) -> int:
        principal = f"token:{target.world.tokens[getattr(demo, role)].user.name}"
        found = [seen for seen in list(target.double.requests) if seen.path == f"/api/v1/users/{actor.name}"]
        return sum(seen.principal == principal for seen in found)

    with asked(target, path, demo.reader, actor=actor.name, status="failure", wait=60) as second:
        with hanging(target.proxy, f"{path}?{query}", demo.writer):
            wait_until(lambda: asked_by("writer") >= 3 and asked_by("reader") >= 3)
        before = asked_by("reader")
        wait_until(lambda: asked_by("reader") >= before + 3)  # what was under way has ended
        before, others = asked_by("reader"), asked_by("writer")
        wait_until(lambda: asked_by("reader") >= before + 2)
        assert asked_by("writer") == others
        run = target.world.run(demo.repo, actor=actor, jobs=[JobSpec("only")])
        target.world.play(run.jobs[0], "failure")
        assert second.result().status_code == 200


@pytest.mark.parametrize("short", [False, True])
def test_the_run_of_a_push_is_waited_for(target: Target, demo: Sample, short: bool) -> None:
    """Forgejo makes it some time after the push. Several who ask are told of the same."""
    world, double, sha = target.world, target.double, "c0ffee" * 6 + "abcd"
    double.forget_requests()
    query = {"head_sha": sha[:8] if short else sha, "wait": 60, "workflow_id": "ci.yml"}
    with (
        asked(target, f"{demo.base}/latest", demo.reader, **query) as first,
        asked(target, f"{demo.base}/latest/jobs", demo.owner, **query) as second,
    ):
        latest = f"/{demo.repo.full_name}/actions/runs/latest"
        wait_until(lambda: sum(seen.path == latest for seen in double.requests_by_session()) >= 3)
        lists = sum(seen.path == f"/{demo.repo.full_name}/actions" for seen in double.requests_by_session())
        assert lists <= 4, "the list is read again only when there is a new run"
        other = world.run(demo.repo, workflow_id="other.yml", sha=sha)
        run = world.run(demo.repo, sha=sha, jobs=JOBS)
        wait_until(lambda: looks(double, demo, run.index) >= 3)
        assert not first.done() and looks(double, demo, other.index) == 0
        play(world, run)
        assert (first.result().json()["run_number"], first.result().json()["done"]) == (run.index, True)
        assert second.result().json()["jobs"][0]["run_number"] == run.index


def test_a_state_is_waited_for(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, branch="later", jobs=JOBS)
    with asked(target, f"{demo.base}/latest", demo.reader, branch="later", status="completed", wait=60) as answer:
        wait_until(lambda: sum("/actions/runs/latest" in seen.path for seen in target.double.requests) >= 3)
        play(target.world, run)
        assert answer.result().json()["run_number"] == run.index


def test_a_run_that_does_not_appear_is_a_404(target: Target, demo: Sample) -> None:
    answer = target.request("GET", f"{demo.base}/latest?branch=nowhere&status=success&wait=1", demo.reader)
    assert answer.status_code == 404 and "branch=nowhere, status=success" in answer.json()["message"]
    assert target.request("GET", f"{demo.base}/by-number/999?wait=60", demo.reader).status_code == 404


def test_the_first_run_of_all_is_waited_for(target: Target, unique: str) -> None:
    repo = target.world.repo(f"new-{unique}/demo")
    token = target.world.token(repo.owner, "all")
    with asked(target, f"/api/v1/repos/{repo.full_name}/actions/runs/latest", token, wait=60) as answer:
        latest = f"/{repo.full_name}/actions/runs/latest"
        wait_until(lambda: sum(seen.path == latest for seen in target.double.requests) >= 2)
        play(target.world, target.world.run(repo))
        assert (answer.result().json()["run_number"], answer.result().json()["done"]) == (1, True)


def test_a_token_that_is_revoked_meanwhile_gets_nothing(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=JOBS)
    with asked(target, f"{demo.base}/latest/summary", demo.reader, wait=60) as answer:
        wait_until(lambda: looks(target.double, demo, run.index) >= 2)
        target.world.revoke(demo.reader)
        play(target.world, run)
        assert answer.result().status_code == 401


def test_a_forgejo_that_fails_for_a_while_ends_no_waiting(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=JOBS)
    with asked(target, f"{demo.base}/{run.index}/jobs", demo.reader, wait=60) as answer:
        wait_until(lambda: looks(target.double, demo, run.index) >= 2)
        fault = Fault(match=f"^GET /{demo.repo.full_name}/actions/runs/{run.index}/", kind="status", value=500, times=2)
        target.double.faults.append(fault)
        wait_until(lambda: fault.times <= 0)
        play(target.world, run)
        assert answer.result().json()["done"] is True


def test_the_longest_wait_is_an_option(target: Target, demo: Sample) -> None:
    target.double.forget_requests()
    answer = target.request("GET", f"{demo.base}/latest?wait=301", demo.reader)
    assert answer.status_code == 400 and "wait takes a whole number from 0 to 300, not" in answer.json()["message"]
    for query in ("wait=-1", "wait=1.5", "wait=", "wait=5&wait_for=success"):
        assert target.request("GET", f"{demo.base}/latest?{query}", demo.reader).status_code == 400
    assert target.request("GET", f"{demo.base}/latest/logs?wait=1", demo.reader).status_code == 400
    assert [seen for seen in target.double.requests if demo.repo.full_name in seen.path] == []


@contextmanager
def hanging(proxy: Proxy, path: str, token: str) -> Iterator[socket.socket]:
    """A client that has asked and not been answered."""
    host, port = proxy.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: token {token}\r\n\r\n".encode())
        yield client


def test_waiters_have_places_of_their_own_and_leave_them() -> None:
    """One too many is refused at once, nobody else is kept out, and who leaves makes room."""
    with Double(version="v15") as double:
        demo, admin = sample(double.world, "places"), double.world.admin
        run = double.world.run(demo.repo, jobs=JOBS)
        with start_proxy(double.url, (admin.name, admin.password), {"actions_threads": "4"}) as proxy:
            headers = {"Authorization": f"token {demo.reader}"}
            url, path = f"{proxy.url}{demo.base}/latest", f"{demo.base}/{run.index}/jobs?wait=120"

            def status(tail: str) -> int:
                return requests.get(url + tail, headers=headers, timeout=PATIENCE).status_code

            assert status("") == 200
            with ThreadPoolExecutor() as pool:
                leaving = [hanging(proxy, path, token) for token in (demo.reader, demo.reader, demo.owner, demo.owner)]
                for taken, each in enumerate(leaving, start=1):
                    each.__enter__()
                    wait_until(
                        lambda taken=taken: looks(double, demo, run.index) > taken
                    )  # it has its place, or is about to
                wait_until(lambda: status("?wait=1") == 503)
                assert [status("") for _ in range(20)] == [200] * 20
                for each in leaving:
                    each.__exit__(None, None, None)
                before = looks(double, demo, run.index)
                wait_until(lambda: status("?wait=1") == 200)
                waits = [pool.submit(status, "?wait=60") for _ in range(4)]
                wait_until(lambda: looks(double, demo, run.index) > before + 6)
                play(double.world, run)
                assert [each.result() for each in waits] == [200] * 4
            still = looks(double, demo, run.index)
            threading.Event().wait(3 * polling.FAST)
            assert looks(double, demo, run.index) == still, "nobody waits, and Forgejo is still asked"


class Inside:
    """The use case of waiting without a proxy, to change what only time changes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, double: Double) -> None:
        admin = double.world.admin
        monkeypatch.setenv("FORGEJO_ADMIN_USER", admin.name)
        monkeypatch.setenv("FORGEJO_ADMIN_PASSWORD", admin.password)
        monkeypatch.setattr(waiting, "STEP", 0.1)
        settings = Settings(double.url, recheck=0.2)
        handler = build(settings, connect(settings), OtherTraffic.create()).handlers["info"]
        assert isinstance(handler, functools.partial)
        self.waiting: waiting.Waiting = handler.args[0]
        self.demo = sample(double.world, "inside")

    def info(self, tail: str, left: Callable[[], bool] = lambda: False) -> Any:
        caller = Caller({"Authorization": f"token {self.demo.reader}"})
        query = parse("GET", f"{self.demo.base}/{tail}").query
        return self.waiting.run_with_details(query, caller, left)


@pytest.mark.parametrize("version", ["v7", "v11", "v15"])
def test_who_waits_long_is_asked_again(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Long before the run is done, and before one has appeared."""
    with Double(version=version) as double, ThreadPoolExecutor() as pool:
        inside = Inside(monkeypatch, double)
        double.world.run(inside.demo.repo, jobs=JOBS)
        waits = [pool.submit(inside.info, tail) for tail in ("latest?wait=60", "latest?branch=nowhere&wait=60")]
        wait_until(lambda: looks(double, inside.demo, 5) >= 2)
        double.world.revoke(inside.demo.reader)
        for each in waits:
            with pytest.raises(Unauthorized):
                each.result(PATIENCE)
        reader = next(user for user in inside.demo.repo.collaborators if user.name.startswith("reader"))
        inside.demo.reader = double.world.token(reader, "all")
        wait = pool.submit(inside.info, "latest?wait=60")
        before = looks(double, inside.demo, 5)
        wait_until(lambda: looks(double, inside.demo, 5) >= before + 2)
        del inside.demo.repo.collaborators[reader]
        with pytest.raises(NotFound):
            wait.result(PATIENCE)


def test_a_client_that_left_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with Double(version="v15") as double:
        inside = Inside(monkeypatch, double)
        double.world.run(inside.demo.repo, jobs=JOBS)
        for tail in ("latest?wait=60", "latest?branch=nowhere&wait=60"):
            with pytest.raises(ClientDisconnected):
                inside.info(tail, left=lambda: True)


def test_the_end_before_a_rerun_is_not_taken_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher that is still there keeps what was seen before the rerun."""
    with Double(version="v15") as double, ThreadPoolExecutor() as pool:
        inside = Inside(monkeypatch, double)
        run, repo = inside.demo.runs["deploy"], Repo(*inside.demo.repo.full_name.split("/"))
        watcher = inside.waiting
        key = (str(repo).lower(), run.index)
        with watcher._runs.subscribe(
            key, lambda _: waiting._Observation.now(watcher._web_ui, repo, run.index)
        ) as subscription:
            seen = subscription.wait(0, PATIENCE)
            assert seen.value is not None and seen.value.run.done
            rerun(double.world, run, None)
            wait = pool.submit(inside.info, f"by-number/{run.index}?wait=60")
            before = looks(double, inside.demo, run.index)
            wait_until(lambda: looks(double, inside.demo, run.index) >= before + 3)
            assert not wait.done()
            play(double.world, run)
            assert wait.result(PATIENCE).done
