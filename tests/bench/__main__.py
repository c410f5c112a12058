"""Side by side in one run: ./run.sh bench [--quick] [--only PART] [--against GIT_REV] [--out FILE.svg].

The contestants stand before the same upstream with a fixed answering time and take turns. Whole machines differ and
are shared: only ratios of one run mean something.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from addon import ROOT
from tests.bench import answers, extension, install, ordinary
from tests.bench.contestants import NGINX, THIS, Revision, start_contestants
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


def tables(sizes: Sizes, only: str | None, against: tuple[Revision, float] | None) -> Iterator[Table]:
    """Each as soon as it is measured. `against` is another revision, and the seconds of its installation."""
    other = against[0] if against else None
    if only in (None, "ordinary"):
        with start_upstream() as upstream, start_contestants(upstream, against=other) as contestants:
            if all(each.name != NGINX for each in contestants):
                print("nginx is not installed: left out\n")
            yield from ordinary.small_requests(contestants, sizes.rounds, sizes.seconds)
            yield ordinary.bodies(contestants, min(sizes.rounds, FEW), sizes.body)
    if only in (None, "answers", "extension"):
        # All of them are one caller, who may have half of the slots.
        options = {"actions_followers": str(2 * max(sizes.followers))}
        with (
            start_forgejo(sizes.logs) as forgejo,
            start_contestants(forgejo.url, forgejo.admin, options, other) as contestants,
        ):
            yield from answers.answers(forgejo, contestants, sizes.answers)
            if only == "answers":
                return
            yield extension.logs(forgejo, contestants, min(sizes.rounds, FEW))
            yield extension.logs_at_once(forgejo, contestants, sizes.at_once)
            yield extension.side_by_side(forgejo, contestants, sizes.rounds, sizes.seconds)
            yield extension.followers(forgejo, contestants, sizes.followers, sizes.following)
    if only in (None, "install"):
        with start_forgejo(()) as forgejo:
            yield install.start_up(forgejo, [each for each in (THIS, other) if each], FEW)
        yield install.installation(against)


@contextmanager
def other_revision(name: str | None) -> Iterator[tuple[Revision, float] | None]:
    """A git revision with its packages installed, and the seconds that it took; None for no name."""
    if name is None:
        yield None
        return
    with install.checkout(name) as folder:
        yield Revision(name, folder, str(folder / ".venv/bin/python")), install.install(folder)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="./run.sh bench", description="Measures this proxy beside others.")
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--only", choices=("ordinary", "answers", "extension", "install"), help="some of the tables")
    parser.add_argument("--against", metavar="GIT_REV", help="measures this revision too, and prints ratios")
    parser.add_argument("--out", type=Path, default=ROOT / ".mitm/bench.svg", help="the picture; default %(default)s")
    given = parser.parse_args()
    started, found = time.monotonic(), []
    print(
        f"{processors()} processors, Python {platform.python_version()}; upstream answers after {1000 * ANSWER_SECONDS:g} ms\n"
    )
    with other_revision(given.against) as against:
        for table in tables(QUICK if given.quick else FULL, given.only, against):
            found.append(table)
            print(table.text() + "\n", flush=True)
    write(found, given.out)
    print(f"{time.monotonic() - started:.0f} s; picture: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
