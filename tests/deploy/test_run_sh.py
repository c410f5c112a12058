"""./run.sh's set-up: done once, done again when it was interrupted, and by one of several at a time."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
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
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (folder / lock).write_text("# nothing\n")
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


def package(project: Path, name: str, version: int) -> str:
    """A new package in the project's folder; the line of a lock file for it."""
    wheel, info = project / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{name}.py", f"version = {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/RECORD", "")
    return f"./{wheel.name} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def run_sh(project: Path, command: str, **environment: str) -> str:
    """What it writes to standard error."""
    done = subprocess.run(
        ["./run.sh", command], cwd=project, env=CLEAN | environment, capture_output=True, text=True, timeout=120
    )
    return done.stderr


def version(project: Path, name: str) -> str:
    """The installed version of a package, or nothing."""
    command = [".venv/bin/python", "-c", f"import {name}; print({name}.version)"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60).stdout.strip()


def test_each_command_installs_what_it_needs(project: Path) -> None:
    """An update of a lock file is installed into the .venv that is there. A package with another hash is refused."""
    served, tested = package(project, "served", 1), package(project, "tested", 1)
    (project / "requirements.lock").write_text(served)
    (project / "requirements-dev.lock").write_text(served + tested)
    assert "setting up .venv from requirements.lock with Python 3." in run_sh(project, "set-up")
    assert (version(project, "served"), version(project, "tested")) == ("1", "")
    assert "setting up .venv from requirements-dev.lock" in run_sh(project, "test")
    assert (version(project, "served"), version(project, "tested")) == ("1", "1")
    assert run_sh(project, "set-up") == "" and "setting up" not in run_sh(project, "test")

    (project / "requirements.lock").write_text(package(project, "served", 2))
    assert "setting up .venv from requirements.lock" in run_sh(project, "set-up")
    assert (version(project, "served"), version(project, "tested")) == ("2", "1")
    package(project, "tested", 2)
    (project / "requirements-dev.lock").write_text(tested.replace("tested-1", "tested-2"))
    assert "the packages of requirements-dev.lock can't be installed" in run_sh(project, "test")


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_uv_is_used_where_it_is_installed(project: Path) -> None:
    (project / "requirements.lock").write_text(package(project, "served", 1))
    assert re.search(r"with Python 3\.[0-9.]+ and uv, once", run_sh(project, "set-up"))
    assert version(project, "served") == "1"
    assert list(project.glob(".venv/lib/*/site-packages/__pycache__/served.*.pyc")), "compiled later by each start"


def test_pip_helps_out_where_uv_fails(project: Path, tmp_path: Path) -> None:
    uv = tmp_path / "bin/uv"
    uv.parent.mkdir()
    uv.write_text(f"#!/bin/sh\necho \"$@\" >>'{tmp_path}/calls'\nexit 1\n")
    uv.chmod(0o755)
    (project / "requirements.lock").write_text(package(project, "served", 1))
    assert "and uv, once" in run_sh(project, "set-up", PATH=f"{uv.parent}:{CLEAN['PATH']}")
    assert "venv" in (tmp_path / "calls").read_text() and version(project, "served") == "1"


def test_without_a_python_the_message_names_ways_to_get_one(project: Path, tmp_path: Path) -> None:
    if [*Path("/usr/local/bin").glob("python3.1[2-9]"), *Path("/opt").glob("*/bin/python3.1[2-9]")]:
        pytest.skip("run.sh finds a Python outside of PATH too")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("env", "bash", "dirname", "id", "cksum", "grep", "mkdir", "cat"):
        (tools / name).symlink_to(str(shutil.which(name)))
    said = run_sh(project, "set-up", PATH=str(tools), HOME=str(tmp_path), PYENV_ROOT=str(tmp_path))
    assert "needs Python 3.12 or later" in said
    for system in ("Debian 12", "Debian 13", "Ubuntu 22.04", "RHEL 9", "macOS", "https://astral.sh/uv/install.sh"):
        assert system in said


def pins(lock: str) -> dict[str, str]:
    """The versions and hashes of a lock file, by package."""
    text = re.sub(r"^#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    blocks = re.findall(r"^(\S+==\S+)[^\n]*\n((?:    .*\n?)+)", text, re.MULTILINE)
    return dict(blocks)


def test_the_locks_agree() -> None:
    """What the tests run with is what is served."""
    served, tested = pins("requirements.lock"), pins("requirements-dev.lock")
    assert "mitmproxy" in " ".join(served) and "pytest" not in " ".join(served)
    assert "pytest" in " ".join(tested) and served.items() <= tested.items()


def test_what_is_served_needs_no_package_of_the_tests() -> None:
    """Nor does the demo, which lies in tests/."""
    absent = ("pytest", "hypothesis", "jsonschema_rs", "schemathesis", "mypy")
    modules = (
        "tests.double.serve_demo",
        "addon.check.__main__",
        "addon.api.app",
        "addon.entry",
    )
    code = f"import sys; sys.modules |= dict.fromkeys({absent}); import {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


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
