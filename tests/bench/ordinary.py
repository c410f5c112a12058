"""Ordinary traffic: small requests, and bodies of a gigabyte."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.contestants import Contestant
from tests.bench.load import download, request, requests_for, upload
from tests.bench.processes import cpu_seconds, forget_peaks, peak
from tests.bench.report import Cell, Table, medians, ratios

CONNECTIONS = (1, 16, 64)


def small_requests(contestants: Sequence[Contestant], rounds: int, seconds: float) -> list[Table]:
    """Requests a second and latencies; the contestants take turns, and the medians count."""
    return [_small(contestants, connections, rounds, seconds) for connections in CONNECTIONS]


def _small(contestants: Sequence[Contestant], connections: int, rounds: int, seconds: float) -> Table:
    measured: dict[str, list[list[float]]] = {each.name: [] for each in contestants}
    for _ in range(rounds):
        for each in contestants:
            cpu = _cpu(each)
            found = requests_for(each.url, request("/small"), connections, seconds)
            used = 1000 * (_cpu(each) - cpu) / len(found.each)
            measured[each.name].append([found.per_second, found.percentile(50), found.percentile(99), used])
    title = f"small requests, {connections} connection{'s' if connections > 1 else ''}"
    notes = ratios(measured, {"requests/s": 0, "CPU": 3})
    columns = ("requests/s", "p50 ms", "p99 ms", "CPU ms each")
    return Table(title, columns, _rows(measured), ("requests/s",), notes)


def bodies(contestants: Sequence[Contestant], rounds: int, megabytes: int) -> Table:
    """Down and up, and the memory of the whole family of processes over what it had before."""
    measured: dict[str, list[list[float]]] = {each.name: [] for each in contestants}
    size = megabytes << 20
    for _ in range(rounds):
        for each in contestants:
            before, cpu = forget_peaks(each.pid) if each.pid else 0, _cpu(each)
            down, up = download(each.url, f"/bytes/{size}"), upload(each.url, size)
            used, highest = _cpu(each) - cpu, peak(each.pid) if each.pid else 0
            speeds = [down.megabytes_per_second, up.megabytes_per_second]
            measured[each.name].append([*speeds, used, highest - before, highest])
    notes = ratios(measured, {"down": 0, "up": 1, "CPU": 2})
    columns = ("down MB/s", "up MB/s", "CPU s both", "memory +MB", "peak MB")
    title = f"a body of {megabytes} MB"
    return Table(title, columns, _rows(measured), ("down MB/s", "up MB/s"), notes)


def _cpu(contestant: Contestant) -> float:
    return cpu_seconds(contestant.pid) if contestant.pid else 0.0


def _rows(measured: dict[str, list[list[float]]]) -> list[tuple[str, Sequence[Cell]]]:
    return [(name, medians(found)) for name, found in measured.items()]
