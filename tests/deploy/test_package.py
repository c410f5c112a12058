"""The installed package: a wheel is built and unpacked, and its console command does what run.sh does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests

from addon import ROOT
from tests.support.started import CLEAN, gone, started


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a wheel is unpacked, as by pip."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def command(installed: Path) -> list[str]:
    """The console command, as the script that pip writes for it."""
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    module, _, function = entry.read_text().partition("forgejo-actions-proxy = ")[2].strip().partition(":")
    return [sys.executable, "-c", f"import sys; from {module} import {function}; sys.exit({function}())"]


def environment(installed: Path, folder: Path) -> Mapping[str, str]:
    return {"PYTHONPATH": str(installed), "XDG_STATE_HOME": str(folder / "state")}


def test_the_demo(installed: Path, tmp_path: Path) -> None:
    with started(tmp_path, *command(installed), cwd=tmp_path, **environment(installed, tmp_path)) as running:
        said = (tmp_path / "output").read_text()
        assert "forgejo-actions-proxy web" in said and "run.sh" not in said
        base = f"http://127.0.0.1:{running.port}/api/v1/repos/org/repo/actions/runs"
        assert "Drop Python 3.11" in requests.get(f"{base}/latest/summary", timeout=20).text
        running.process.send_signal(signal.SIGINT)
        gone(running)
        assert running.process.returncode == 0
    assert (tmp_path / "state/forgejo-actions-proxy/config.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "given", "status", "said"),
    [
        (("help",), {}, 0, "forgejo-actions-proxy web [options]"),
        (("check",), {}, 0, "this is the demo: no Forgejo is configured, and forgejo-actions-proxy starts"),
        (
            (),
            {"FORGEJO_ADMIN_USER": "a"},
            2,
            "forgejo-actions-proxy: FORGEJO_ADMIN_USER is set, but FORGEJO_URL is not",
        ),
        (("--set", "actions_metric=true"), {}, 2, "did you mean actions_metrics?"),
    ],
)
def test_the_other_commands(
    installed: Path, tmp_path: Path, arguments: tuple[str, ...], given: Mapping[str, str], status: int, said: str
) -> None:
    done = subprocess.run(
        [*command(installed), *arguments], cwd=tmp_path, env={**CLEAN, **environment(installed, tmp_path), **given},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90,
    )  # fmt: skip
    assert (done.returncode, said in done.stdout, "run.sh" in done.stdout) == (status, True, False), done.stdout


def test_it_holds_no_file_of_servers_and_no_test(installed: Path) -> None:
    """Nothing of addon/deploy: a password could lie there."""
    files = {
        str(file.relative_to(installed / "forgejo_actions_proxy"))
        for file in installed.rglob("*")
        if os.path.isfile(file) and "dist-info" not in str(file)
    }
    assert {"mitm.yaml", "addon/entry.py", "addon/api/about/openapi.yaml", "addon/command/usage.txt"} <= files
    assert not [file for file in files if file.startswith("addon/deploy") or "/test_" in file]
