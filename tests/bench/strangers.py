"""Members while strangers do their worst: readers that never read, followers, hostile logs, a hostile pull request.

It is part of the flood: python -m tests.bench.flood --strangers. Members measure the time of short requests, first
alone, then with the strangers. Meanwhile other members wait for runs and follow logs. No member may be refused.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import multiprocessing
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from addon.api.app import SWITCH
from tests.double import Double, JobSpec
from tests.support.sample import Sample

READERS, FOLLOWERS, HAMMERS, MEMBERS = 64, 256, 4, 8
# Seconds between a member's requests, before a stranger that was refused asks again, and between hostile summaries.
PAUSE, AGAIN, HAMMER_PAUSE = 0.1, 5.0, 1.0
# Seconds until strangers have taken what they can get.
SETTLING = 15.0
MOST_RATIO = 3.0
LARGE_LOG = 64 << 30
# More bytes than sockets hold of a log that nobody reads.
READ_AHEAD = 24 << 20
# A megabyte of lines for each job, which the parsers of annotations and controls meet; a pull request's description.
HOSTILE_LINES = ["::error" + " " * 4000] * 250, ["::error::"] * 25_000, ["::error::" + "\xc2\x9b0m" * 500] * 300
HOSTILE_TEXT = "x" * (8 << 20)


@dataclass(frozen=True)
class Question:
    """A member's request, and the status that must come back."""

    path: str
    token: str
    status: int = 200


@dataclass
class Told:
    """What members were answered: seconds of the short requests, and how many answers were wrong or refusals."""

    seconds: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def percentile(self, percent: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def prepare(double: Double, demo: Sample) -> tuple[list[str], list[Question], list[Question]]:
    """The strangers' targets in a public repository; the members' short requests, and those that take long."""
    world = double.world
    public = world.repo(f"{demo.repo.owner.name}/hostile", private=False)
    large, running = world.run(public, jobs=[JobSpec("large")]), world.run(public, jobs=[JobSpec("running")])
    for run in (large, running):
        world.big_log(run.jobs[0], LARGE_LOG)
        for _ in run.jobs[0].task.log.read(0, READ_AHEAD):  # a Forgejo has it in a file; the stand-in makes it
            pass
    hostile = world.run(
        public, branch="#1", event="pull_request", jobs=[JobSpec("spaces"), JobSpec("many"), JobSpec("controls")]
    )
    hostile.event_text = HOSTILE_TEXT
    for job, lines in zip(hostile.jobs, HOSTILE_LINES, strict=True):
        world.play(job, "failure", [["set up"], lines])
    base = f"/api/v1/repos/{public.full_name}/actions/runs"
    targets = [f"{base}/{large.index}/logs", f"{base}/{running.index}/logs?follow=true", f"{base}/latest/summary"]
    people = [
        next(user for user in demo.repo.collaborators if user.name.startswith(role)) for role in ("reader", "writer")
    ]
    tokens = [world.token(people[number % 2], "all") for number in range(MEMBERS)]
    tails = ("latest", "latest/jobs", "1/logs", "2/jobs?job=1", "by-number/3", "2/summary", "latest?branch=main")
    short = [Question(f"{demo.base}/{tail}", token) for tail in tails for token in tokens]
    long = [
        Question(f"{demo.base}/latest?branch=never&wait=2", tokens[0], 404),
        Question(f"{demo.base}/1/logs?follow=true", tokens[1]),
    ]
    return targets, short, long


def ask(connection: http.client.HTTPConnection, question: Question, told: Told) -> float:
    """The seconds that the answer took."""
    started = time.monotonic()
    try:
        connection.request("GET", question.path, headers={"Authorization": f"token {question.token}"})
        answer = connection.getresponse()
        answer.read()
        told.counts[
            "refused" if answer.status == 503 else "right" if answer.status == question.status else "wrong"
        ] += 1
    except (OSError, http.client.HTTPException):
        told.counts["wrong"] += 1
        connection.close()
    return time.monotonic() - started


def members(address: str, short: Sequence[Question], long: Sequence[Question], seconds: float) -> Told:
    """A process of members, for so long. The long requests have no part in the percentiles."""
    gc.freeze()
    told, until = Told(), time.monotonic() + seconds

    def member(questions: Sequence[Question], is_short: bool, seed: int) -> None:
        connection, dice = http.client.HTTPConnection(address, timeout=60), random.Random(seed)
        while time.monotonic() < until:
            took = ask(connection, dice.choice(questions), told)
            if is_short:
                told.seconds.append(took)
            time.sleep(PAUSE)

    threads = [threading.Thread(target=member, args=(short, True, seed)) for seed in range(MEMBERS)]
    threads += [threading.Thread(target=member, args=([question], False, 0)) for question in long]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def strangers(address: str, targets: Sequence[str], seconds: float) -> Mapping[str, int]:
    """A process of strangers, each from an address of its own; how often each kind was served and refused."""
    counts = Counter[str]()

    async def stall(path: str, kind: str, number: int) -> None:
        while True:
            reader, writer = await asyncio.open_connection(*_host(address), limit=1024)
            writer.write(_request(path, number))
            status = (await reader.read(12))[-3:].decode()
            counts[f"{kind} {status}"] += 1
            await asyncio.sleep(
                AGAIN * random.uniform(0.5, 1.5) if status != "200" else seconds
            )  # holds what it has got, and never reads on
            writer.close()

    async def hammer(path: str, number: int) -> None:
        while True:
            reader, writer = await asyncio.open_connection(*_host(address))
            writer.write(_request(path, number, "Connection: close\r\n"))
            counts[f"summary {(await reader.read())[9:12].decode()}"] += 1
            writer.close()
            await asyncio.sleep(HAMMER_PAUSE)

    async def everybody() -> None:
        tasks = [stall(targets[0], "reader", number) for number in range(READERS)]
        tasks += [stall(targets[1], "follower", number) for number in range(FOLLOWERS)]
        tasks += [hammer(targets[2], number) for number in range(HAMMERS)]
        running = [asyncio.create_task(task) for task in tasks]
        await asyncio.sleep(seconds)
        for each in running:
            each.cancel()

    asyncio.run(everybody())
    return counts


def soak(double: Double, demo: Sample, address: str, seconds: int) -> bool:
    """Measures and prints. Returns whether no member was refused or answered wrongly, and none waited much longer."""
    targets, short, long = prepare(double, demo)
    # Otherwise the stand-in stops for 0.1 s now and then, and its requests wait for each other, as in no Forgejo.
    gc.freeze()
    sys.setswitchinterval(SWITCH)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.apply(members, (address, short, long, 2.0))  # warms up
        alone = pool.apply(members, (address, short, long, float(seconds)))
        around = pool.apply_async(strangers, (address, targets, seconds + SETTLING))
        time.sleep(SETTLING)
        double.forget_requests()
        among = pool.apply(members, (address, short, long, float(seconds) - 1))
        served = around.get(60)
    ratio = among.percentile(99) / alone.percentile(99)
    for name, told in (("alone", alone), ("among strangers", among)):
        figures = ", ".join(f"p{percent} {told.percentile(percent):.0f} ms" for percent in (50, 95, 99))
        print(f"members {name}: {len(told.seconds)} short requests, {figures}; {dict(told.counts)}")
    print(f"strangers: {dict(sorted(served.items()))}")
    print(f"p99 among strangers is {ratio:.1f} times that alone")
    return not any(told.counts[bad] for told in (alone, among) for bad in ("wrong", "refused")) and ratio <= MOST_RATIO


def _host(address: str) -> tuple[str, int]:
    parts = urlsplit(f"http://{address}")
    return str(parts.hostname), int(parts.port or 80)


def _request(path: str, number: int, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.{number % 256}\r\n{more}\r\n".encode()
