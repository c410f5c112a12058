"""A command that starts a proxy, with all processes that descend from it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from addon import ROOT
from tests.support.proxy import eventually

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("FORGEJO_", "LISTEN", "DEMO_"))}
START_SECONDS = 90


@dataclass(frozen=True)
class Started:
    """What was started: its first process, and all that descend from it."""

    process: subprocess.Popen[bytes]
    mark: bytes
    port: int
    folder: Path

    def processes(self) -> dict[int, str]:
        """The command lines of those that still run, also of those that have lost their parent."""
        found = {}
        for each in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if each.name.isdecimal() and self.mark in (each / "environ").read_bytes():
                    found[int(each.name)] = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def one(self, words: str) -> int:
        """The process whose command line has these words."""
        (pid,) = (pid for pid, line in self.processes().items() if words in line)
        return pid

    def is_listening(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@contextlib.contextmanager
def started(
    folder: Path, *command: str, host: str = "127.0.0.1", cwd: Path = ROOT, **environment: str
) -> Iterator[Started]:
    """The command in front of the demo, or of the Forgejo in `environment`, once it listens. `port` is where."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary, mark, output = folder / "tmp", uuid.uuid4().hex, folder / "output"
    temporary.mkdir()
    environment |= {"LISTEN": f"{host}:{port}", "TMPDIR": str(temporary), "MARK": mark}
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=cwd, env=CLEAN | environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )  # fmt: skip
    running = Started(process, mark.encode(), port, temporary)
    try:
        ready = ("listening on", environment["FORGEJO_URL"]) if "FORGEJO_URL" in environment else ("Ctrl-C ends",)
        eventually(
            lambda: all(word in output.read_text() for word in ready) or process.poll() is not None, START_SECONDS
        )
        assert process.poll() is None, output.read_text()
        assert running.is_listening()
        yield running
    finally:
        for pid in running.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def gone(running: Started) -> None:
    """Fails unless everything ends by itself."""
    running.process.wait(30)
    eventually(lambda: not running.processes(), 30)
    assert not running.is_listening()
    assert not any(running.folder.iterdir())
