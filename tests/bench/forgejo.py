"""The stand-in Forgejo of the extension's measurements, a process of its own, with a fixed answering time.

Beside Forgejo's routes: /small answers as the other upstream's; /bench/spans tells when requests were under way since
it was last asked; /bench/append adds a line with the time to the running job's log.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from addon import ROOT
from tests.bench.load import TIMEOUT
from tests.bench.upstream import ANSWER_SECONDS, SMALL
from tests.double import Double, JobSpec
from tests.double.logs import TICKS, stamp
from tests.support.sample import sample

VERSION = "v15"
LINE = "bench line"
ROW = 128
BLOCK_ROWS = 8192


class RepeatedLog:
    """A log of any size, given out as fast as memory: the same megabyte of rows again and again."""

    def __init__(self, size: int, start: int) -> None:
        self.size = size // ROW * ROW
        self.rows = self.size // ROW
        self._start = start
        row = f"{stamp(start)} ".encode().ljust(ROW - 1, b"x") + b"\n"
        self._block = memoryview(row * BLOCK_ROWS)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`."""
        while start < min(stop, self.size):
            offset = start % len(self._block)
            part = self._block[offset : offset + min(stop, self.size) - start]
            yield part  # type: ignore[misc]  # as good as bytes to a socket
            start += len(part)

    def row(self, index: int) -> tuple[float, str]:
        """A row's time and text."""
        return self._start / TICKS, "x" * (ROW - 30)


class BenchDouble(Double):
    """Each answer begins the fixed time after its request."""

    def __init__(self) -> None:
        super().__init__(version=VERSION)
        self.spans: list[tuple[float, float]] = []
        self.running: Any = None

    def answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ["RAW_PATH"]
        if path == "/small":
            time.sleep(ANSWER_SECONDS)
            return _plain(start, SMALL)
        if path == "/bench/spans":
            spans, self.spans = self.spans, []
            return _plain(start, json.dumps(spans).encode())
        if path == "/bench/append":
            self.world.log(self.running, f"{LINE} {time.time()!r}")
            return _plain(start, b"")
        began = time.monotonic()
        time.sleep(ANSWER_SECONDS)
        self.requests.clear()
        body = super().answer(environ, start)
        if path.endswith("/logs"):  # only its beginning is waited for
            self.spans.append((began, time.monotonic()))
            return body
        whole = list(body)
        self.spans.append((began, time.monotonic()))
        return whole


def _plain(start: Any, body: bytes) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


@dataclass(frozen=True)
class Forgejo:
    """Where it is, an administrator, a reader's token, and what there is to read: `logs` by their megabytes."""

    url: str
    admin: tuple[str, str]
    token: str
    base: str
    logs: dict[str, int]
    running: int
    web: str

    def web_log(self, run: int) -> str:
        """The log's path in the web UI, which anybody may read."""
        return f"{self.web}/actions/runs/{run}/jobs/0/attempt/1/logs"


def credentials(forgejo: Forgejo) -> dict[str, str]:
    """The header of a caller who may read."""
    return {"Authorization": f"token {forgejo.token}"}


def get(forgejo: Forgejo, path: str) -> bytes:
    """What the stand-in itself answers, past all contestants."""
    with urllib.request.urlopen(forgejo.url + path, timeout=TIMEOUT) as answer:
        return bytes(answer.read())


def _main(sizes: list[int]) -> None:
    sys.setswitchinterval(0.0005)
    with BenchDouble() as double:
        world = double.world
        demo = sample(world, "bench", private=False)
        logs = {}
        for size in sizes:
            run = world.run(demo.repo, jobs=[JobSpec("big", steps=["big"])])
            world.big_log(run.jobs[0], ROW)
            run.jobs[0].task.log = RepeatedLog(size << 20, run.jobs[0].task.clock)
            world.finish(run.jobs[0], "success")
            logs[str(size)] = run.index
        running = world.run(demo.repo, jobs=[JobSpec("long", steps=["long"])])
        double.running = running.jobs[0]
        world.pick(double.running)
        world.step(double.running, 0, "running")
        world.log(double.running, "begun")
        admin = (world.admin.name, world.admin.password)
        web = f"/{demo.repo.full_name}"
        print(
            json.dumps(asdict(Forgejo(double.url, admin, demo.reader, demo.base, logs, running.index, web))), flush=True
        )
        threading.Event().wait()


@contextmanager
def start_forgejo(sizes: Iterable[int]) -> Iterator[Forgejo]:
    """A stand-in with a log of each size, in megabytes, while the block runs."""
    command = [sys.executable, "-m", "tests.bench.forgejo", *map(str, sizes)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = json.loads(process.stdout.readline())
            yield Forgejo(**found | {"admin": tuple(found["admin"])})
        finally:
            process.terminate()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _main([int(size) for size in sys.argv[1:]])
    os._exit(0)
