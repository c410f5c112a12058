"""./run.sh's set-up: done once, done again when it was interrupted, and by one of several at a time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from addon import ROOT

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("FORGEJO_", "LISTEN"))}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own with no packages to install, in a folder whose name has a space."""
    folder = tmp_path / "my project"
    folder.mkdir()
    shutil.copy(ROOT / "run.sh", folder)
    (folder / "requirements.lock").write_text("# nothing\n")
    return folder


def start(project: Path) -> subprocess.Popen[str]:
    """`./run.sh test`, which sets up; there is no pytest to run afterwards."""
    return subprocess.Popen(
        ["./run.sh", "test"], cwd=project, env=CLEAN, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_set_up_is_done_once_and_whole(project: Path) -> None:
    interrupted = start(project)
    deadline = time.monotonic() + 20
    while not (project / ".venv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(interrupted.pid, signal.SIGKILL)
    interrupted.communicate()
    assert not (project / ".venv/stamp").exists()

    said = "".join(process.communicate(timeout=60)[1] for process in [start(project), start(project)])
    assert said.count("setting up .venv") == 1
    assert said.count("No module named pytest") == 2

    assert "setting up" not in start(project).communicate(timeout=60)[1]


def test_an_account_without_a_forgejo_is_one_line() -> None:
    """It must not be taken for a wish to see the demo."""
    environment = CLEAN | {"FORGEJO_ADMIN_USER": "a", "FORGEJO_ADMIN_PASSWORD": "b"}
    done = subprocess.run([ROOT / "run.sh"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "FORGEJO_URL is not" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_and_an_unknown_command() -> None:
    done = subprocess.run([ROOT / "run.sh", "help"], env=CLEAN, capture_output=True, text=True, check=True, timeout=60)
    for name in ("FORGEJO_URL", "FORGEJO_ADMIN_USER", "LISTEN", "./run.sh web", "./run.sh test"):
        assert name in done.stdout
    done = subprocess.run([ROOT / "run.sh", "serv"], env=CLEAN, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "unknown command 'serv'" in done.stderr
