"""The extension's own answers: what they cost over Forgejo's, logs of any size, and many who follow."""

from __future__ import annotations

import asyncio
import json
import math
import re
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median

from tests.bench.contestants import DIRECT, OURS, Contestant
from tests.bench.forgejo import LINE, Forgejo
from tests.bench.load import TIMEOUT, address, download, request, requests_for
from tests.bench.processes import cpu_seconds, forget_peaks, peak
from tests.bench.report import Cell, Table, medians, ratio

ROUTES = ("latest", "1/jobs", "1/jobs?job=1", "2/summary", "1/logs")
# How fast each of the downloads goes, in bytes a second.
SITUATIONS = {"alone": 0.0, "at 10 MB/s each": 1e7, "as fast as they come": math.inf}
LINE_TIME = re.compile(rf"{LINE} ([0-9.]+)\n".encode())
Row = tuple[str, Sequence[Cell]]


def answers(forgejo: Forgejo, ours: Contestant, times: int) -> Table:
    """Milliseconds of each route, beside those in which Forgejo was at work for it: `busy` counts overlaps once."""
    rows: list[Row] = []
    for route in ROUTES:
        path, headers = f"{forgejo.base}/{route}", _credentials(forgejo)
        download(ours.url, path, headers)
        found = []
        for _ in range(times):
            _get(forgejo, "/bench/spans")
            took = download(ours.url, path, headers).seconds
            spans = json.loads(_get(forgejo, "/bench/spans"))
            each = [stop - start for start, stop in spans]
            found.append([1000 * took, len(spans), 1000 * sum(each), 1000 * max(each), 1000 * busy(spans)])
        ordered = sorted(row[0] for row in found)
        middle = medians(found)
        over = median(row[0] - row[4] for row in found)
        slowest = ordered[min(math.ceil(len(ordered) * 0.99), len(ordered)) - 1]
        rows.append((f"GET {route}", [middle[0], slowest, *middle[1:], over]))
    columns = ("p50 ms", "p99 ms", "requests", "sum ms", "max ms", "busy ms", "p50 - busy")
    return Table(f"extension answers, {times} of each", columns, rows)


def busy(spans: Sequence[Sequence[float]]) -> float:
    """Seconds in which at least one of the spans was under way."""
    total, end = 0.0, 0.0
    for start, stop in sorted(spans):
        total += max(stop - max(start, end), 0.0)
        end = max(end, stop)
    return total


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
        notes.append(f"ours / bare, {size} MB: {ratio(measured, 1):.2f} MB/s")
    notes[-1] += f", {ratio(measured, 4):.2f} CPU"  # of smaller ones it is less than the kernel counts
    columns = ("seconds", "MB/s", "first byte ms", "memory +MB", "CPU s")
    return Table("a job's log", columns, rows, ("MB/s",), notes)


def _log(forgejo: Forgejo, contestant: Contestant, size: int) -> list[float]:
    """One download of the log of so many megabytes."""
    run, pid, is_ours = forgejo.logs[str(size)], contestant.pid, contestant.name == OURS
    path = f"{forgejo.base}/{run}/logs" if is_ours else forgejo.web_log(run)
    before, cpu = (forget_peaks(pid), cpu_seconds(pid)) if pid else (0, 0.0)
    found = download(contestant.url, path, _credentials(forgejo) if is_ours else None)
    assert found.size == size << 20, (contestant.name, found.size)
    grown, used = (peak(pid) - before, cpu_seconds(pid) - cpu) if pid else (0, 0.0)
    return [found.seconds, found.megabytes_per_second, 1000 * found.first_byte, grown, used]


def logs_at_once(forgejo: Forgejo, ours: Contestant, count: int) -> Table:
    """So many of the largest log at once."""
    size = max(map(int, forgejo.logs))
    path = f"{forgejo.base}/{forgejo.logs[str(size)]}/logs"
    assert ours.pid is not None
    before, started = forget_peaks(ours.pid), time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(lambda _: download(ours.url, path, _credentials(forgejo)), range(count)))
    took = time.perf_counter() - started
    assert all(each.size == size << 20 for each in found)
    cells = [took, sum(each.size for each in found) / took / 1e6, peak(ours.pid) - before]
    return Table(f"{count} logs of {size} MB at once", ("seconds", "MB/s in all", "memory +MB"), [(OURS, cells)])


def followers(forgejo: Forgejo, ours: Contestant, counts: Sequence[int], seconds: float) -> Table:
    """What it costs that so many follow a running job's log to which two lines a second are added."""
    assert ours.pid is not None
    rows: list[Row] = []
    for count in counts:
        before = forget_peaks(ours.pid)
        with _following(forgejo, ours, count) as crowd:
            _get(forgejo, "/bench/spans")
            started, cpu = time.perf_counter(), cpu_seconds(ours.pid)
            while time.perf_counter() - started < seconds:
                _get(forgejo, "/bench/append")
                time.sleep(0.5)
            time.sleep(1)
            took = time.perf_counter() - started
            used, asked = cpu_seconds(ours.pid) - cpu, len(json.loads(_get(forgejo, "/bench/spans")))
        delays = sorted(crowd.delays)
        assert delays and len(delays) == count * crowd.lines, (len(delays), count, crowd.lines)
        grown = (peak(ours.pid) - before) * 1024 / count
        percentiles = [1000 * delays[len(delays) // 2], 1000 * delays[int(len(delays) * 0.99)]]
        rows.append((f"{count} followers", [*percentiles, asked / took, 100 * used / took, grown]))
    columns = ("line p50 ms", "line p99 ms", "requests/s to Forgejo", "CPU %", "kB each")
    return Table("followers of one job, two lines a second", columns, rows)


def side_by_side(forgejo: Forgejo, contestants: Sequence[Contestant], rounds: int, seconds: float) -> Table:
    """Ordinary requests alone, and while 50 follow and 10 download the largest log."""
    by_name = {each.name: each for each in contestants}
    measured: dict[tuple[str, str], list[list[float]]] = {}
    for _ in range(rounds):
        for situation, pace in SITUATIONS.items():
            with _crowded(forgejo, by_name[OURS], pace):
                for name in (DIRECT, OURS):
                    found = requests_for(by_name[name].url, request("/small"), 4, seconds)
                    figures = [found.per_second, found.percentile(50), found.percentile(99)]
                    measured.setdefault((name, situation), []).append(figures)
    alone = measured[OURS, "alone"]
    ratios = [
        f"{situation}: {median(beside[2] / lone[2] for beside, lone in zip(measured[OURS, situation], alone, strict=True)):.1f}"
        for situation in SITUATIONS
    ]
    rows: list[Row] = [(f"{name}, {situation}", medians(found)) for (name, situation), found in measured.items()]
    notes = (f"ours, p99 over that alone: {', '.join(ratios[1:])}",)
    title = "small requests on 4 connections, beside 50 followers and 10 downloads of the largest log"
    return Table(title, ("requests/s", "p50 ms", "p99 ms"), rows, notes=notes)


@contextmanager
def _crowded(forgejo: Forgejo, ours: Contestant, pace: float) -> Iterator[None]:
    """The company, whose downloads take so many bytes a second each; none when that is 0."""
    if not pace:
        yield
        return
    over = threading.Event()
    size = max(map(int, forgejo.logs))
    path = f"{forgejo.base}/{forgejo.logs[str(size)]}/logs"

    def again_and_again() -> None:
        while not over.is_set():
            download(ours.url, path, _credentials(forgejo), over.is_set, pace)

    with _following(forgejo, ours, 50), ThreadPoolExecutor(10) as pool:
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
        self._times: set[bytes] = set()

    @property
    def lines(self) -> int:
        """How many different ones came."""
        return len(self._times)

    def line(self, sent: bytes) -> None:
        """One has come to one follower."""
        self._times.add(sent)
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
def _following(forgejo: Forgejo, ours: Contestant, count: int) -> Iterator[_Crowd]:
    """So many who follow the running job; all of them have begun."""
    crowd, (host, port) = _Crowd(), address(ours.url)
    head = request(f"{forgejo.base}/{forgejo.running}/logs?job=0&follow=true", _credentials(forgejo))

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


def _credentials(forgejo: Forgejo) -> dict[str, str]:
    return {"Authorization": f"token {forgejo.token}"}


def _get(forgejo: Forgejo, path: str) -> bytes:
    with urllib.request.urlopen(forgejo.url + path, timeout=TIMEOUT) as answer:
        return bytes(answer.read())
