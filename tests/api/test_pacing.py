"""Large responses are slowed down while there are other requests, and only then."""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from addon import quota, trace
from addon.api import pacing
from addon.api.pacing import AT_ONCE, Pace
from addon.caller import Caller
from addon.inherited.other_traffic import OtherTraffic
from addon.proxy.supervisor import Supervisor
from addon.settings import Settings
from tests.conftest import Target
from tests.double import Double, JobSpec
from tests.support.proxy import eventually, soon, start_proxy
from tests.support.sample import Sample, sample

BLOCK, BLOCKS, RATE = bytes(64 * 1024), 32, 1e6
# A block is sent at once while those before it are not more than AT_ONCE bytes.
HELD = BLOCKS - AT_ONCE // len(BLOCK) - 1


class Clock:
    """The time that the module sees instead of the real one."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Others:
    """Other traffic, as often as `there` says; the last value goes on."""

    def __init__(self, *there: bool) -> None:
        self._there = [*there]
        self.noted = 0

    def is_there(self) -> bool:
        return self._there.pop(0) if len(self._there) > 1 else self._there[0]

    def note(self) -> None:
        self.noted += 1


def pace(*there: bool) -> tuple[Pace, Others]:
    others = Others(*there)
    return Pace(others, RATE), others  # type: ignore[arg-type]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    for module in (pacing, quota):
        monkeypatch.setattr(module, "time", found)
    return found


class Body:
    """A large response's body."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter([BLOCK] * BLOCKS)

    def close(self) -> None:
        self.closed += 1


def through(pace: Pace, body: Iterable[bytes]) -> Any:
    return pace.around(lambda environ, start: body)({}, lambda *args: None)


def test_a_large_response_has_the_rate(clock: Clock) -> None:
    started = clock.now
    paced, others = pace(True)
    assert list(through(paced, Body())) == [BLOCK] * BLOCKS and not others.noted
    assert clock.now - started == pytest.approx(HELD * len(BLOCK) / RATE)


def test_all_large_responses_share_the_rate(clock: Clock) -> None:
    (paced, _), started = pace(True), clock.now
    for pair in zip(*(through(paced, Body()) for _ in range(3)), strict=True):
        assert pair == (BLOCK,) * 3
    assert clock.now - started == pytest.approx(3 * HELD * len(BLOCK) / RATE)


@pytest.mark.parametrize(
    ("headers", "divisor"), [({"Authorization": "token x"}, 2), ({"X-Forwarded-For": "198.51.100.1"}, 8)]
)
def test_a_caller_has_a_part_of_the_rate(clock: Clock, headers: dict[str, str], divisor: int) -> None:
    (paced, _), started = pace(True), clock.now
    trace.begin().shares = Caller(headers).shares
    list(through(paced, Body()))
    trace.end()
    assert clock.now - started == pytest.approx(divisor * HELD * len(BLOCK) / RATE)


def test_a_small_response_does_not_wait_behind_large_ones(clock: Clock) -> None:
    paced, others = pace(True)
    large = iter(through(paced, Body()))
    for _ in range(BLOCKS // 2):
        next(large)
    started = clock.now
    assert b"".join(through(paced, [b"small", BLOCK])) == b"small" + BLOCK and clock.now == started
    assert others.noted == 1


def test_without_others_nothing_waits(clock: Clock) -> None:
    started = clock.now
    assert len(list(through(pace(False)[0], Body()))) == BLOCKS and clock.now == started


def test_the_rate_ends_with_the_other_traffic(clock: Clock) -> None:
    started = clock.now
    list(through(pace(*[True] * 10, False)[0], Body()))
    assert clock.now - started == pytest.approx(10 * len(BLOCK) / RATE)


@pytest.mark.parametrize("blocks", [0, 3, BLOCKS])
def test_the_body_is_closed(clock: Clock, blocks: int) -> None:
    body = Body()
    paced = through(pace(True)[0], body)
    for _, _block in zip(range(blocks), paced, strict=False):
        pass
    paced.close()
    assert body.closed == 1


def test_the_application_hears_of_other_traffic() -> None:
    """Through the file that it inherits, also after a restart of the application."""
    script = """
import json, sys, time
from addon.inherited.other_traffic import OtherTraffic
traffic = OtherTraffic(json.loads(sys.stdin.readline())["traffic"])
print(json.dumps({"port": 1, "lists_runs": traffic.is_there()}), flush=True)
while not traffic.is_there():
    time.sleep(0.01)
print(json.dumps({"lists_runs": True}), flush=True)
sys.stdin.readline()
"""

    async def heard() -> list[bool | None]:
        supervisor = Supervisor(Settings("http://127.0.0.1:1"), (sys.executable, "-c", script))
        await supervisor.start()
        seen = [supervisor.lists_runs]

        def noted_and_heard() -> bool:
            supervisor.other_traffic.note()
            return supervisor.lists_runs is True

        await soon(noted_and_heard)
        seen.append(supervisor.lists_runs)
        await supervisor.stop()
        return seen

    assert asyncio.run(heard()) == [False, True]


def test_other_traffic_is_over_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, traffic = Clock(), OtherTraffic.create()
    monkeypatch.setattr("addon.inherited.other_traffic.time", clock)
    clock.now = 0.0  # just after the machine's start
    assert not traffic.is_there()
    traffic.note()
    assert traffic.is_there()
    clock.sleep(1.5)
    assert not traffic.is_there()
    os.close(traffic.descriptor)


def test_only_large_responses_are_no_other_traffic() -> None:
    """Otherwise a download would slow itself down."""
    with Double() as double, start_proxy(double.url, (double.world.admin.name, double.world.admin.password)) as proxy:
        _each_request_counts(Target(double.version, double, proxy), sample(double.world, "pacing"))


def _each_request_counts(target: Target, demo: Sample) -> None:
    def last() -> float:
        folder = Path(f"/proc/{target.proxy.process.pid}/fd")
        (content,) = {each.read_bytes() for each in folder.iterdir() if "other-traffic" in os.readlink(each)}
        return float(struct.unpack("d", content)[0])

    run = target.world.run(demo.repo, jobs=[JobSpec("large")])
    target.world.big_log(run.jobs[0], 4 * AT_ONCE)
    target.request("GET", "/api/v1/version")
    before = last()
    assert len(target.request("GET", f"{demo.base}/{run.index}/logs", demo.reader).content) == 4 * AT_ONCE
    assert last() == before
    for path in ("/api/v1/version", f"{demo.base}/1/logs"):
        target.request("GET", path, demo.reader)
        eventually(lambda earlier=before: last() > earlier)
        before = last()
