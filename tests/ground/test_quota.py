"""Whoever makes the application parse much gets a part of its processor time, while there are other requests."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import closing

import pytest
from werkzeug.test import Client

from addon import quota, trace
from addon.api.app import create_app
from addon.api.composition import build, connect
from addon.caller import Caller
from addon.inherited.other_traffic import OtherTraffic
from addon.internal_headers import ARRIVED_HEADER, SECRET_HEADER
from addon.quota import SLICE, CpuQuota
from addon.settings import Settings
from tests.double import Double
from tests.support.sample import sample

MEMBER = Caller({"Authorization": "token member"})
ANOTHER = Caller({"Authorization": "token another"})
STRANGER = Caller({"X-Forwarded-For": "198.51.100.1"})
OTHER_STRANGER = Caller({"X-Forwarded-For": "198.51.100.2"})
COST = 2 * SLICE


class Clock:
    """The module's clocks. All threads have one processor; who sleeps does not use it."""

    def __init__(self) -> None:
        self.now = self.used = self.slept = 0.0
        self.pauses = 0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.used

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.pauses += 1
        self.now += seconds

    def work(self, seconds: float) -> None:
        self.used += seconds
        self.now += seconds


class Others:
    """Whether there are other requests."""

    def __init__(self, there: bool = True) -> None:
        self.there = there

    def is_there(self) -> bool:
        return self.there


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    found = Clock()
    monkeypatch.setattr(quota, "time", found)
    yield found
    trace.end()


def work(clock: Clock, cost: float, times: int) -> Iterator[int]:
    for number in range(times):
        clock.work(cost)
        yield number


def as_caller(caller: Caller, items: Iterable[int]) -> Iterator[int]:
    """The items, each made in a request of the caller."""
    iterator = iter(items)
    while True:
        trace.begin().shares = caller.shares
        try:
            yield next(iterator)
        except StopIteration:
            return


def new_quota(there: bool = True) -> CpuQuota:
    return CpuQuota(Others(there))  # type: ignore[arg-type]


@pytest.mark.parametrize(("caller", "part"), [(MEMBER, 1 / 2), (STRANGER, 1 / 8)])
def test_a_caller_gets_a_part(clock: Clock, caller: Caller, part: float) -> None:
    assert list(as_caller(caller, new_quota().throttled(work(clock, COST, 100)))) == [*range(100)]
    assert clock.used / clock.now == pytest.approx(part)


def test_all_strangers_together_get_a_quarter(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """They work at the same time, each from an address of its own, which has its own eighth."""
    shared, pauses = new_quota(), list[float]()
    monkeypatch.setattr(clock, "sleep", pauses.append)  # meanwhile the others go on
    for number in range(1, 9):
        caller = Caller({"X-Forwarded-For": f"198.51.100.{number}"})
        list(as_caller(caller, shared.throttled(work(clock, COST, 1))))
    assert pauses == pytest.approx([COST * max(7, 3 * number) for number in range(1, 9)])


def test_a_member_does_not_wait_behind_strangers(clock: Clock) -> None:
    shared = new_quota()
    list(as_caller(STRANGER, shared.throttled(work(clock, COST, 100))))
    shared._quota._free_at["anonymous"] = clock.now + 1000
    before = clock.slept
    list(as_caller(MEMBER, shared.throttled(work(clock, COST, 10))))
    assert clock.slept - before == pytest.approx(10 * COST)
    list(as_caller(OTHER_STRANGER, shared.throttled(work(clock, COST, 1))))
    assert clock.slept - before > 900


def test_members_do_not_wait_for_each_other(clock: Clock) -> None:
    shared = new_quota()
    list(as_caller(MEMBER, shared.throttled(work(clock, COST, 10))))
    before = clock.slept
    list(as_caller(ANOTHER, shared.throttled(work(clock, COST, 1))))
    assert clock.slept - before == pytest.approx(COST)


def test_light_work_never_waits(clock: Clock) -> None:
    """A large download is passed on for long, and uses little."""

    def download() -> Iterator[int]:
        for number in range(100):
            clock.work(SLICE / 3)
            clock.now += 1  # it waits for Forgejo or for the client
            yield number

    assert len(list(as_caller(STRANGER, new_quota().throttled(download())))) == 100
    assert not clock.slept


@pytest.mark.parametrize(("caller", "there"), [(STRANGER, False), (Caller(), False), (None, True)])
def test_nothing_waits_alone_or_in_an_own_thread(clock: Clock, caller: Caller | None, there: bool) -> None:
    items = new_quota(there).throttled(work(clock, COST, 100))
    assert len(list(as_caller(caller, items) if caller else items)) == 100
    assert not clock.slept


def test_it_forgets_who_has_stopped(clock: Clock) -> None:
    shared = new_quota()
    for number in range(100):
        caller = Caller({"Authorization": f"token {number}"})
        list(as_caller(caller, shared.throttled(work(clock, COST, 1))))
        clock.now += 1
    assert len(shared._quota._free_at) == 1


def test_items_that_are_not_taken_are_not_made(clock: Clock) -> None:
    with closing(new_quota().throttled(work(clock, COST, 100))) as items:
        assert list(itertools.islice(items, 3)) == [0, 1, 2]
    assert clock.used == pytest.approx(3 * COST)


LINES = [f"::error::line {number}" for number in range(100)]


class Slow(Clock):
    """By this clock, whatever happens between two looks at it takes long."""

    def monotonic(self) -> float:
        self.now += COST
        return self.now

    def thread_time(self) -> float:
        self.used += 10 * COST
        return self.used


def asked_slowly(monkeypatch: pytest.MonkeyPatch, tail: str) -> Slow:
    """The clock after a request about a failed job with these lines, while there are other requests."""
    with Double(version="v15") as double:
        monkeypatch.setenv("FORGEJO_ADMIN_USER", double.world.admin.name)
        monkeypatch.setenv("FORGEJO_ADMIN_PASSWORD", double.world.admin.password)
        demo, settings, others = sample(double.world, "quota"), Settings(double.url), OtherTraffic.create()
        run = double.world.run(demo.repo)
        double.world.play(run.jobs[0], "failure", [["set up"], LINES])
        client = Client(create_app(build(settings, connect(settings), others), "secret"))
        headers = {SECRET_HEADER: "secret", ARRIVED_HEADER: "inf", "Authorization": f"token {demo.reader}"}
        clock = Slow()
        monkeypatch.setattr(quota, "time", clock)
        others.note()
        trace.begin()
        answer = client.get(f"{demo.base}/{run.index}/{tail}", headers=headers)
        assert answer.status_code == 200 and answer.text
        trace.end()
        os.close(others.descriptor)
        return clock


@pytest.mark.parametrize(
    "tail",
    [
        "logs",
        "summary",
        "logs?step=2",
        "logs?failed_steps=true",
        "logs?ansi=false",
        "logs?timestamps=false&job=all",
        "jobs?job=0&steps=true",
    ],
)
def test_whatever_reads_a_log_has_the_quota(monkeypatch: pytest.MonkeyPatch, tail: str) -> None:
    assert asked_slowly(monkeypatch, tail).slept > 0


def test_a_summary_may_pause_at_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of the log's end and of the steps. A chunk of hostile lines would take too long."""
    assert asked_slowly(monkeypatch, "summary").pauses > 2 * len(LINES)
