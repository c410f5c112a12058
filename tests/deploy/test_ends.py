"""However the proxy ends, nothing stays behind: no process, no open port, no temporary folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from addon import ROOT
from tests.double import Double
from tests.support.started import Started, gone, started

ACCOUNT = {"FORGEJO_URL": "http://127.0.0.1:9", "FORGEJO_ADMIN_USER": "a", "FORGEJO_ADMIN_PASSWORD": "b"}
IMAGE = dict(
    re.findall(r"(\w+)=(\S+)", re.findall(r"^ENV (.*)$", (ROOT / "addon/deploy/Dockerfile").read_text(), re.M)[0])
)
# Opens a terminal for a command. When this program ends, the terminal is closed.
TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find processes"),
    pytest.mark.xdist_group("run.sh"),  # they share .mitm
]


@pytest.fixture(autouse=True)
def hangup() -> Iterator[None]:
    """What a test starts notices the end of its terminal, also if pytest runs under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


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


def test_mitmproxy_never_holds_the_password(tmp_path: Path) -> None:
    """Neither in its environment nor in its memory. The application has it."""
    secret = uuid.uuid4().hex
    with Double(version="v15", root_url="http://x/") as double:
        admin = double.world.user("service", secret, admin=True)
        account = {"FORGEJO_URL": double.url, "FORGEJO_ADMIN_USER": admin.name, "FORGEJO_ADMIN_PASSWORD": secret}
        with started(tmp_path, "./run.sh", **account) as running:
            health = f"http://127.0.0.1:{running.port}/api/v1/actions-extensions/health"
            assert requests.get(health, timeout=20).status_code == 200, "it signs in"
            for pid in running.processes():
                assert secret.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            assert secret.encode() not in memory(running.process.pid)


def memory(pid: int) -> bytes:
    """All that a process has written to in its memory."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            first, last = (int(part, 16) for part in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                with contextlib.suppress(OSError, ValueError, OverflowError):
                    file.seek(first)
                    found.append(file.read(last - first))
    return b"".join(found)


def test_mitmweb_ends_with_its_terminal(tmp_path: Path) -> None:
    with started(tmp_path, "./run.sh", "web", **ACCOUNT) as running:
        running.process.send_signal(signal.SIGHUP)
        gone(running)
        assert running.process.returncode == 0
