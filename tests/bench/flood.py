"""A crowd of callers, good and bad, against a stand-in: python -m tests.bench.flood [--callers 200] [--seconds 60].

With --strangers: what members notice of strangers who hold all that they can get.

Prints answers by status, wrong ones, memory over time, and what a refused call costs Forgejo. It ends with status 1
if an answer was wrong, the proxy crashed, or a refused call cost more than one question.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.bench.processes import family, megabytes
from tests.bench.strangers import soak
from tests.double import Double
from tests.support.proxy import start_proxy
from tests.support.sample import Sample, sample

PROCESSES = 2
BUSY = 503


@dataclass(frozen=True)
class Call:
    """A request with what must come back: the status, and what the body must be or hold."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int
    body: bytes | None = None
    run: int | None = None

    def is_right(self, status: int, body: bytes) -> bool:
        """A 503 is counted by itself; any other status, or another body, is wrong."""
        if status != self.status or (self.body is not None and body != self.body):
            return False
        if self.run is None:
            return True
        found = json.loads(body)
        return bool((found.get("jobs") or [found])[0]["run_number"] == self.run)


def calls(double: Double, demo: Sample) -> list[Call]:
    """Seven good ones and seven bad ones."""
    world, base = double.world, demo.base
    revoked = world.token(demo.repo.owner, "all")
    world.revoke(revoked)
    scope = world.token(demo.repo.owner, "read:issue")

    def call(tail: str, token: str | None, status: int, **rest: object) -> Call:
        headers = {"Authorization": f"token {token}"} if token else {}
        return Call("GET", f"{base}/{tail}", headers, status, **rest)  # type: ignore[arg-type]

    log, native = demo.runs["green"].jobs[0].log_bytes(), f"/api/v1/repos/{demo.repo.full_name}"
    return [
        call("1/logs", demo.reader, 200, body=log),
        call("1/logs", demo.owner, 200, body=log),
        call("latest/jobs", demo.reader, 200, run=4),
        call("2/jobs?job=1", demo.writer, 200, run=2),
        call("latest", demo.reader, 200, run=4),
        call("by-number/3", demo.reader, 200, run=3),
        Call("GET", native, {"Authorization": f"token {demo.reader}"}, 200),
        call("1/logs", demo.stranger, 404),
        call("1/logs", None, 404),
        call("latest/jobs", revoked, 401),
        call("1/summary", scope, 403),
        call("999/jobs", demo.reader, 404),
        call("0/logs", demo.reader, 400),
        call("1/logs?jobs=1", demo.reader, 400),
    ]


def client(address: str, chosen: Sequence[Call], until: float, seed: int, counts: Counter[str]) -> None:
    """One caller: a connection that stays open, one request after the other."""
    connection, dice = http.client.HTTPConnection(address, timeout=60), random.Random(seed)
    while time.time() < until:
        call = dice.choice(chosen)
        try:
            connection.request(call.method, call.path, headers=dict(call.headers))
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            counts[f"wrong: {type(error).__name__}"] += 1
            connection.close()
            continue
        counts[str(answer.status)] += 1
        if answer.status == BUSY and "Retry-After" in answer.headers:
            continue
        if not call.is_right(answer.status, body):
            counts[f"wrong: {call.path} {answer.status} instead of {call.status}"] += 1
    connection.close()


def crowd(address: str, chosen: Sequence[Call], until: float, seeds: Sequence[int]) -> Counter[str]:
    """A process full of callers; what they were answered."""
    each = [Counter[str]() for _ in seeds]
    threads = [
        threading.Thread(target=client, args=(address, chosen, until, seed, counts))
        for seed, counts in zip(seeds, each, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(each, Counter())


def flood(
    double: Double, address: str, pids: Sequence[int], chosen: list[Call], callers: int, seconds: int
) -> Counter[str]:
    """The crowd for so long; memory is printed as it goes."""
    until = time.time() + seconds
    seeds = [range(callers)[start::PROCESSES] for start in range(PROCESSES)]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        running = [pool.apply_async(crowd, (address, chosen, until, each)) for each in seeds]
        while time.time() < until:
            time.sleep(min(10, max(until - time.time(), 0.1)))
            print(
                f"  {seconds - max(until - time.time(), 0):3.0f} s  MB: {[megabytes(pid) for pid in pids]}", flush=True
            )
            double.forget_requests()
        return sum((each.get(120) for each in running), Counter())


def cost(double: Double, address: str, refused: list[Call]) -> tuple[int, int, int]:
    """Calls that are refused, requests that Forgejo got for them, and how many of those with the session."""
    double.forget_requests()
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda call: client_once(address, call), refused * 50))
    return len(refused) * 50, len(double.requests), len(double.requests_by_session())


def client_once(address: str, call: Call) -> None:
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request(call.method, call.path, headers=dict(call.headers))
    connection.getresponse().read()
    connection.close()


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--version", default="v15")
    parser.add_argument("--strangers", action="store_true")
    given = parser.parse_args()
    with Double(version=given.version) as double:
        demo, admin = sample(double.world, "flood"), double.world.admin
        with start_proxy(double.url, (admin.name, admin.password), forked=False) as proxy:
            address, chosen = proxy.url.removeprefix("http://"), calls(double, demo)
            if given.strangers:
                return 0 if soak(double, demo, address, given.seconds) else 1
            pids = family(proxy.process.pid)
            for call in chosen:
                client_once(address, call)
            print(f"{given.callers} callers, {given.seconds} s, before Forgejo {given.version}; proxy and application")
            print(f"    0 s  MB: {[megabytes(pid) for pid in pids]}")
            counts = flood(double, address, pids, chosen, given.callers, given.seconds)
            refused = [call for call in chosen if call.status in (401, 403) or (call.status, call.run) == (404, None)]
            refused = [call for call in refused if "999" not in call.path]
            asked, got, by_session = cost(double, address, refused)
            alive = family(proxy.process.pid) == pids
    wrong = {what: count for what, count in counts.items() if what.startswith("wrong")}
    answers = {what: count for what, count in sorted(counts.items()) if not what.startswith("wrong")}
    total = sum(answers.values())
    print(f"answers: {total} ({total / given.seconds:.0f}/s), by status {answers}")
    print(f"wrong: {wrong or 'none'}; the same processes as at the start: {alive}")
    print(f"{asked} refused calls cost Forgejo {got} requests, {by_session} of them with the session")
    return 1 if wrong or not alive or got > asked or by_session else 0


if __name__ == "__main__":
    sys.exit(main())
