"""Side by side in one run: ./run.sh bench [--quick] [--only ordinary|extension] [--out FILE.svg].

The contestants stand before the same upstream with a fixed answering time and take turns. Whole machines differ and
are shared: only ratios of one run mean something.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from addon import ROOT
from tests.bench import extension, ordinary
from tests.bench.contestants import NGINX, OURS, start_contestants
from tests.bench.forgejo import start_forgejo
from tests.bench.processes import processors
from tests.bench.report import Table, write
from tests.bench.upstream import ANSWER_SECONDS, start_upstream


@dataclass(frozen=True)
class Sizes:
    """How long and how much: in rounds, seconds and megabytes."""

    rounds: int
    seconds: float
    body: int
    answers: int
    logs: tuple[int, ...]
    at_once: int
    followers: tuple[int, ...]
    following: float


# Rounds of what takes long. Many short rounds beat few long ones where others use the machine too.
FEW = 3
FULL = Sizes(11, 0.8, 1024, 200, (1, 32, 1024), 20, (1, 100, 1000), 10.0)
QUICK = Sizes(3, 0.5, 64, 20, (1, 16, 64), 4, (1, 50), 3.0)


def tables(sizes: Sizes, only: str | None) -> Iterator[Table]:
    """Each as soon as it is measured."""
    if only != "extension":
        with start_upstream() as upstream, start_contestants(upstream) as contestants:
            if all(each.name != NGINX for each in contestants):
                print("nginx is not installed: left out\n")
            yield from ordinary.small_requests(contestants, sizes.rounds, sizes.seconds)
            yield ordinary.bodies(contestants, min(sizes.rounds, FEW), sizes.body)
    if only != "ordinary":
        options = {"actions_followers": str(max(sizes.followers) + 64)}
        with (
            start_forgejo(sizes.logs) as forgejo,
            start_contestants(forgejo.url, forgejo.admin, options) as contestants,
        ):
            ours = next(each for each in contestants if each.name == OURS)
            yield extension.answers(forgejo, ours, sizes.answers)
            yield extension.logs(forgejo, contestants, min(sizes.rounds, FEW))
            yield extension.logs_at_once(forgejo, ours, sizes.at_once)
            yield extension.side_by_side(forgejo, contestants, sizes.rounds, sizes.seconds)
            yield extension.followers(forgejo, ours, sizes.followers, sizes.following)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="./run.sh bench", description="Measures this proxy beside others.")
    parser.add_argument("--quick", action="store_true", help="small sizes, less than a minute")
    parser.add_argument("--only", choices=("ordinary", "extension"), help="half of the tables")
    parser.add_argument("--out", type=Path, default=ROOT / ".mitm/bench.svg", help="the picture; default %(default)s")
    given = parser.parse_args()
    started, found = time.monotonic(), []
    print(
        f"{processors()} processors, Python {platform.python_version()}; upstream answers after {1000 * ANSWER_SECONDS:g} ms\n"
    )
    for table in tables(QUICK if given.quick else FULL, given.only):
        found.append(table)
        print(table.text() + "\n", flush=True)
    write(found, given.out)
    print(f"{time.monotonic() - started:.0f} s; picture: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
