"""The extension's streams: logs of any size, many who follow, and small requests beside them."""

from __future__ import annotations

import asyncio
import json
import math
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from statistics import median

from tests.bench.contestants import Contestant, ours
from tests.bench.forgejo import LINE, Forgejo, credentials, get
from tests.bench.load import TIMEOUT, address, download, request, requests_for
from tests.bench.processes import cpu_seconds, forget_peaks, peak
from tests.bench.report import Cell, Table, medians, ratios
from tests.support.proxy import eventually

# How fast each of the downloads goes, in bytes a second.
ALONE = "alone"
# Seconds until what was sent before the first small request has passed.
SETTLING = 0.5
SITUATIONS = {ALONE: 0.0, "at 10 MB/s each": 1e7, "as fast as they come": math.inf}
LINE_TIME = re.compile(rf"{LINE} ([0-9.]+)\n".encode())
Row = tuple[str, Sequence[Cell]]


def logs(forgejo: Forgejo, contestants: Sequence[Contestant], rounds: int) -> Table:
    """Logs of growing size, and beside them the same bytes as Forgejo's page through the others."""
    sizes = sorted(map(int, forgejo.logs))
    rows: list[Row] = []
    notes = []
    for size in sizes:
        measured: dict[str, list[list[float]]] = {each.name: [] for each in contestants}
        for _ in range(rounds):
            for each in contestants:
                measured[each.name].append(_log(forgejo, each, size))
        rows += [(f"{size} MB, {name}", medians(found)) for name, found in measured.items()]
        notes += (f"{size} MB: {note}" for note in ratios(measured, {"MB/s": 1, "CPU": 4}))
    columns = ("seconds", "MB/s", "first byte ms", "memory +MB", "CPU s")
    return Table("a job's log", columns, rows, ("MB/s",), notes)


def _log(forgejo: Forgejo, contestant: Contestant, size: int) -> list[float]:
    """One download of the log of so many megabytes."""
    run, pid, is_ours = forgejo.logs[str(size)], contestant.pid, contestant.is_ours
    path = f"{forgejo.base}/{run}/logs" if is_ours else forgejo.web_log(run)
    before, cpu = (forget_peaks(pid), cpu_seconds(pid)) if pid else (0, 0.0)
    found = download(contestant.url, path, credentials(forgejo) if is_ours else None)
    assert found.size == size << 20, (contestant.name, found.size)
    grown, used = (peak(pid) - before, cpu_seconds(pid) - cpu) if pid else (0, 0.0)
    return [found.seconds, found.megabytes_per_second, 1000 * found.first_byte, grown, used]


def logs_at_once(forgejo: Forgejo, contestants: Sequence[Contestant], count: int) -> Table:
    """So many of the largest log at once."""
    size = max(map(int, forgejo.logs))
    rows = [(each.name, _at_once(forgejo, each, count, size)) for each in ours(contestants)]
    return Table(f"{count} logs of {size} MB at once", ("seconds", "MB/s in all", "memory +MB"), rows)


def _at_once(forgejo: Forgejo, contestant: Contestant, count: int, size: int) -> list[float]:
    path = f"{forgejo.base}/{forgejo.logs[str(size)]}/logs"
    assert contestant.pid is not None
    before, started = forget_peaks(contestant.pid), time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(lambda _: download(contestant.url, path, credentials(forgejo)), range(count)))
    took = time.perf_counter() - started
    assert all(each.size == size << 20 for each in found)
    return [took, sum(each.size for each in found) / took / 1e6, peak(contestant.pid) - before]


def followers(forgejo: Forgejo, contestants: Sequence[Contestant], counts: Sequence[int], seconds: float) -> Table:
    """What it costs that so many follow a running job's log to which two lines a second are added."""
    rows: list[Row] = [
        (f"{count}, {each.name}", _followers(forgejo, each, count, seconds))
        for count in counts
        for each in ours(contestants)
    ]
    columns = ("line p50 ms", "line p99 ms", "requests/s to Forgejo", "CPU %", "kB each")
    return Table("followers of one job, two lines a second", columns, rows)


def _followers(forgejo: Forgejo, contestant: Contestant, count: int, seconds: float) -> list[float]:
    assert contestant.pid is not None
    before = forget_peaks(contestant.pid)
    with _following(forgejo, contestant, count) as crowd:
        get(forgejo, "/bench/spans")
        started, cpu, lines = time.perf_counter(), cpu_seconds(contestant.pid), 0
        while time.perf_counter() - started < seconds:
            get(forgejo, "/bench/append")
            lines += 1
            time.sleep(0.5)
        eventually(lambda: len(crowd.delays) >= count * lines, TIMEOUT)
        took = time.perf_counter() - started
        used, asked = cpu_seconds(contestant.pid) - cpu, len(json.loads(get(forgejo, "/bench/spans")))
    delays = sorted(crowd.delays)
    assert len(delays) == count * lines
    grown = (peak(contestant.pid) - before) * 1024 / count
    percentiles = [1000 * delays[len(delays) // 2], 1000 * delays[int(len(delays) * 0.99)]]
    return [*percentiles, asked / took, 100 * used / took, grown]


def side_by_side(forgejo: Forgejo, contestants: Sequence[Contestant], rounds: int, seconds: float) -> Table:
    """Ordinary requests alone, and while 50 follow and 10 download the largest log."""
    measured: dict[tuple[str, str], list[list[float]]] = {}
    for _ in range(rounds):
        for (situation, pace), each in product(SITUATIONS.items(), ours(contestants)):
            with _crowded(forgejo, each, pace):
                requests_for(each.url, request("/small"), 4, SETTLING)
                found = requests_for(each.url, request("/small"), 4, seconds)
            figures = [found.per_second, found.percentile(50), found.percentile(99)]
            measured.setdefault((each.name, situation), []).append(figures)
    rows: list[Row] = [(f"{name}, {situation}", medians(found)) for (name, situation), found in measured.items()]
    notes = [f"{each.name}, p99 over that alone: {_growth(measured, each.name)}" for each in ours(contestants)]
    title = "small requests on 4 connections, beside 50 followers and 10 downloads of the largest log"
    return Table(title, ("requests/s", "p50 ms", "p99 ms"), rows, notes=notes)


def _growth(measured: Mapping[tuple[str, str], Sequence[Sequence[float]]], name: str) -> str:
    """By how much the p99 is higher than alone, in each other situation."""
    alone = [figures[2] for figures in measured[name, ALONE]]
    return ", ".join(
        f"{median(found[2] / lone for found, lone in zip(measured[name, situation], alone, strict=True)):.1f} {situation}"
        for situation in SITUATIONS
        if situation != ALONE
    )


@contextmanager
def _crowded(forgejo: Forgejo, contestant: Contestant, pace: float) -> Iterator[None]:
    """The company, whose downloads take so many bytes a second each; none when that is 0."""
    if not pace:
        yield
        return
    over = threading.Event()
    size = max(map(int, forgejo.logs))
    path = f"{forgejo.base}/{forgejo.logs[str(size)]}/logs"

    def again_and_again() -> None:
        while not over.is_set():
            download(contestant.url, path, credentials(forgejo), over.is_set, pace)

    with _following(forgejo, contestant, 50), ThreadPoolExecutor(10) as pool:
        running = [pool.submit(again_and_again) for _ in range(10)]
        time.sleep(0.5)
        try:
            yield
        finally:
            over.set()
            for each in running:
                each.result(TIMEOUT)


class _Crowd:
    """Followers on one loop, in a thread; each line's delay from Forgejo's having it to its arrival."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.connected = 0
        self.loop = asyncio.new_event_loop()

    def line(self, sent: bytes) -> None:
        """One has come to one follower."""
        self.delays.append(time.time() - float(sent))


class _Follower(asyncio.Protocol):
    def __init__(self, crowd: _Crowd, head: bytes) -> None:
        self._crowd, self._head, self._rest, self._begun = crowd, head, b"", time.time()
        self._started = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        if not self._started:
            self._started = True
            self._crowd.connected += data.startswith(b"HTTP/1.1 200 ")
        text = self._rest + data
        last = 0
        for match in LINE_TIME.finditer(text):
            last = match.end()
            if float(match[1]) > self._begun:  # what was there before is sent at once
                self._crowd.line(match[1])
        self._rest = text[last:][-200:]


@contextmanager
def _following(forgejo: Forgejo, contestant: Contestant, count: int) -> Iterator[_Crowd]:
    """So many who follow the running job; all of them have begun."""
    crowd, (host, port) = _Crowd(), address(contestant.url)
    head = request(f"{forgejo.base}/{forgejo.running}/logs?job=0&follow=true", credentials(forgejo))

    async def connect() -> list[asyncio.BaseTransport]:
        return [
            (await crowd.loop.create_connection(lambda: _Follower(crowd, head), host, port))[0] for _ in range(count)
        ]

    async def leave(transports: Sequence[asyncio.BaseTransport]) -> None:
        for each in transports:
            each.close()

    thread = threading.Thread(target=crowd.loop.run_forever, daemon=True)
    thread.start()
    transports = asyncio.run_coroutine_threadsafe(connect(), crowd.loop).result(TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    while crowd.connected < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{crowd.connected} of {count} followers have begun")
        time.sleep(0.05)
    time.sleep(0.5)
    try:
        yield crowd
    finally:
        asyncio.run_coroutine_threadsafe(leave(transports), crowd.loop).result(TIMEOUT)
        crowd.loop.call_soon_threadsafe(crowd.loop.stop)
        thread.join(10)
