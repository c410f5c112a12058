"""However the proxy ends, nothing stays behind: no process, no open port, no temporary folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from addon import ROOT
from tests.support.proxy import eventually

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("FORGEJO_", "LISTEN", "DEMO_"))}
ACCOUNT = {"FORGEJO_URL": "http://127.0.0.1:9", "FORGEJO_ADMIN_USER": "a", "FORGEJO_ADMIN_PASSWORD": "b"}
IMAGE = dict(
    re.findall(r"(\w+)=(\S+)", re.findall(r"^ENV (.*)$", (ROOT / "addon/deploy/Dockerfile").read_text(), re.M)[0])
)
# Opens a terminal for a command. When this program ends, the terminal is closed.
TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"
START_SECONDS = 90

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find processes"),
    pytest.mark.xdist_group("run.sh"),  # they share .mitm
]


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
def started(folder: Path, *command: str, host: str = "127.0.0.1", **environment: str) -> Iterator[Started]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary, mark, output = folder / "tmp", uuid.uuid4().hex, folder / "output"
    temporary.mkdir()
    environment |= {"LISTEN": f"{host}:{port}", "TMPDIR": str(temporary), "MARK": mark}
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=CLEAN | environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )  # fmt: skip
    running = Started(process, mark.encode(), port, temporary)
    try:
        ready = ("listening on", "Forgejo is http://127.0.0.1:9") if "FORGEJO_URL" in environment else ("Ctrl-C ends",)
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


WAYS: dict[str, Callable[[Started], int]] = {
    "the process of run.sh": lambda running: running.process.pid,
    "mitmdump": lambda running: running.one("--mode reverse"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_demo_is_killed(tmp_path: Path, way: str) -> None:
    with started(tmp_path, "./run.sh") as running:
        assert len(running.processes()) >= 3, "the stand-in, mitmdump, the application"
        assert any(running.folder.iterdir())
        os.kill(WAYS[way](running), signal.SIGKILL)
        gone(running)


def test_the_demos_terminal_is_closed(tmp_path: Path) -> None:
    with started(tmp_path, sys.executable, "-c", TERMINAL, "./run.sh") as running:
        os.kill(running.process.pid, signal.SIGKILL)
        gone(running)


def test_the_demo_in_mitmweb_is_killed(tmp_path: Path) -> None:
    with started(tmp_path, "./run.sh", "web") as running:
        running.process.kill()
        gone(running)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGHUP, 0), (signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_the_images_entry_ends(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """One signal is enough, and with all but SIGKILL it ends as after Ctrl-C."""
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "addon/deploy/Dockerfile").read_text(), re.M)[0])
    host = IMAGE["LISTEN"].rpartition(":")[0]
    with started(
        tmp_path, *entry, host=host, **ACCOUNT, **{k: v for k, v in IMAGE.items() if k != "LISTEN"}
    ) as running:
        running.process.send_signal(number)
        gone(running)
        assert running.process.returncode == status


def test_mitmweb_ends_with_its_terminal(tmp_path: Path) -> None:
    with started(tmp_path, "./run.sh", "web", **ACCOUNT) as running:
        running.process.send_signal(signal.SIGHUP)
        gone(running)
        assert running.process.returncode == 0
