"""Another revision of this project to compare with; and what an installation costs: seconds, megabytes, the start."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from addon import ROOT
from tests.bench.contestants import THIS, Revision
from tests.bench.forgejo import Forgejo, credentials
from tests.bench.load import download
from tests.bench.processes import cpu_seconds
from tests.bench.report import Cell, Table, medians
from tests.support.proxy import start_proxy

# What ./run.sh needs to install.
INSTALLER = ("run.sh", "requirements*.lock")
Row = tuple[str, Sequence[Cell]]


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A folder with the files of a git revision, while the block runs."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", revision]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def install(folder: Path) -> float:
    """Runs ./run.sh set-up there. Returns its seconds."""
    started = time.perf_counter()
    subprocess.run(["./run.sh", "set-up"], cwd=folder, check=True, stdout=sys.stderr)
    return time.perf_counter() - started


@contextmanager
def installed_copy() -> Iterator[tuple[Path, float]]:
    """A folder with this project's packages, freshly installed, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as name:
        for pattern in INSTALLER:
            for file in ROOT.glob(pattern):
                shutil.copy(file, name)
        yield Path(name), install(Path(name))


def megabytes(folder: Path) -> float:
    """What the folder's files take, in MB as `du` counts them."""
    return sum(file.lstat().st_blocks for file in folder.rglob("*")) * 512 / (1 << 20)


def installation(against: tuple[Revision, float] | None) -> Table:
    """The seconds of an installation, and the size of its .venv; `against` has its seconds already."""
    with installed_copy() as (folder, seconds):
        rows: list[Row] = [(THIS.name, [seconds, megabytes(folder / ".venv")])]
    if against:
        revision, seconds = against
        rows.append((revision.name, [seconds, megabytes(revision.root / ".venv")]))
    return Table("an installation of what serving needs", ("seconds", "MB of .venv"), rows)


def start_up(forgejo: Forgejo, revisions: Sequence[Revision], rounds: int) -> Table:
    """From the start of mitmdump to its start line, and to the first answer of the extension."""
    found: dict[str, list[list[float]]] = {each.name: [] for each in revisions}
    for _ in range(rounds):
        for each in revisions:
            started = time.perf_counter()
            with start_proxy(forgejo.url, forgejo.admin, root=each.root, python=each.python, forked=False) as proxy:
                listens = time.perf_counter() - started
                download(proxy.url, f"{forgejo.base}/latest", credentials(forgejo))
                first = time.perf_counter() - started
                found[each.name].append([listens, first, cpu_seconds(proxy.process.pid)])
    rows = [(name, medians(each)) for name, each in found.items()]
    return Table("a start", ("listens after s", "first answer after s", "CPU s"), rows)
