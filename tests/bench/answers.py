"""The extension's answers: their duration over Forgejo's, their requests to Forgejo, and the CPU time of both processes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from tests.bench.contestants import OURS, Contestant, ours
from tests.bench.forgejo import Forgejo, credentials, get
from tests.bench.load import download
from tests.bench.processes import family, own_cpu_seconds
from tests.bench.report import Cell, Table, medians

ROUTES = ("latest", "1/jobs", "1/jobs?job=1", "2/summary", "1/logs")
COLUMNS = ("p50 ms", "p99 ms", "requests", "sum ms", "max ms", "busy ms", "p50 - busy", "CPU ms proxy", "CPU ms app")
# The columns whose ratios tell whether a change was good.
COMPARED = ("p50 ms", "requests", "p50 - busy", "CPU ms proxy", "CPU ms app")
PICTURED = ("p50 ms", "CPU ms app")
Row = tuple[str, Sequence[Cell]]


def answers(forgejo: Forgejo, contestants: Sequence[Contestant], times: int) -> list[Table]:
    """Each route so many times. The revisions take turns, so what slows one down slows the other.

    `busy` is the time in which Forgejo was at work for the answer; overlaps count once.
    """
    rows, compared = [], []
    for route in ROUTES:
        figures = _route(forgejo, ours(contestants), route, times)
        rows += [(f"GET {route}, {name}", found) for name, found in figures.items()]
        compared += [(f"GET {route}, {OURS} / {name}", _ratios(figures, name)) for name in figures if name != OURS]
    tables = [Table(f"extension answers, {times} of each", COLUMNS, rows, PICTURED)]
    return [*tables, Table("extension answers, ratios", COMPARED, compared, PICTURED)] if compared else tables


def _route(forgejo: Forgejo, revisions: Sequence[Contestant], route: str, times: int) -> Mapping[str, list[float]]:
    """The figures of one route in the order of COLUMNS, by revision."""
    path, found = f"{forgejo.base}/{route}", {each.name: list[list[float]]() for each in revisions}
    cpu = {each.name: [0.0, 0.0] for each in revisions}
    for each in revisions:
        download(each.url, path, credentials(forgejo))
    pids = {each.name: _processes(each) for each in revisions}
    for _ in range(times):
        for each in revisions:
            before = _cpu(pids[each.name])
            found[each.name].append(_answer(forgejo, each, path))
            turns = zip(cpu[each.name], before, _cpu(pids[each.name]), strict=True)
            cpu[each.name] = [total + now - then for total, then, now in turns]
    return {name: [*_figures(found[name]), *(1000 * used / times for used in cpu[name])] for name in found}


def _answer(forgejo: Forgejo, contestant: Contestant, path: str) -> list[float]:
    """Of one answer: milliseconds, requests to Forgejo, their sum, the longest, and the time in which any was open."""
    get(forgejo, "/bench/spans")
    took = download(contestant.url, path, credentials(forgejo)).seconds
    spans = json.loads(get(forgejo, "/bench/spans"))
    each = [stop - start for start, stop in spans]
    return [1000 * took, len(spans), 1000 * sum(each), 1000 * max(each), 1000 * busy(spans)]


def _figures(found: Sequence[Sequence[float]]) -> list[float]:
    ordered = sorted(row[0] for row in found)
    slowest = ordered[min(math.ceil(len(ordered) * 0.99), len(ordered)) - 1]
    middle = medians(found)
    return [middle[0], slowest, *middle[1:], median(row[0] - row[4] for row in found)]


def _ratios(figures: Mapping[str, Sequence[float]], other: str) -> list[float]:
    columns = [COLUMNS.index(name) for name in COMPARED]
    return [figures[OURS][column] / (figures[other][column] or math.inf) for column in columns]


def _processes(contestant: Contestant) -> tuple[int, int]:
    """The proxy and the application, which is its only child."""
    assert contestant.pid is not None
    proxy, application = family(contestant.pid)
    return proxy, application


def _cpu(pids: Iterable[int]) -> list[float]:
    """Processor seconds of each process so far."""
    return [own_cpu_seconds(pid) for pid in pids]


def busy(spans: Sequence[Sequence[float]]) -> float:
    """Seconds in which at least one of the spans was under way."""
    total, end = 0.0, 0.0
    for start, stop in sorted(spans):
        total += max(stop - max(start, end), 0.0)
        end = max(end, stop)
    return total
