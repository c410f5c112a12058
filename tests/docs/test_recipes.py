"""The recipes of README.md and addon/docs/recipes.md, executed as printed against the demo of every version."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from addon import ROOT
from tests.conftest import MAIN
from tests.double.versions import NEWEST
from tests.support.proxy import eventually
from tests.support.served_demo import served

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLES = [
    "Recipes", "Wait for my push", "Why did it fail?", "The failed steps' log", "Rerun what failed", "Follow the logs",
    "More recipes", "Download an artifact", "The logs of all jobs as a zip", "The jobs that failed", "In a coding agent",
    "In a git hook",
]  # fmt: skip
TOOLS = ("git", "curl", "jq")


def recipes() -> dict[str, str]:
    """The commands under each heading, of both files in order."""
    readme = (ROOT / "README.md").read_text().partition("\n## Recipes\n")[2].partition("\n## ")[0]
    page = (ROOT / "addon/docs/recipes.md").read_text().partition("\n")[2]
    found = {}
    for heading, text in (("Recipes", readme), ("More recipes", page)):
        for part in re.split(r"^##+ ", f"## {heading}\n{text}", flags=re.MULTILINE)[1:]:
            found[part.partition("\n")[0]] = "".join(BLOCK.findall(part))
    return found


def test_every_recipe_has_commands() -> None:
    assert list(recipes()) == TITLES and all(recipes().values())


def test_urls_are_quoted() -> None:
    """Unquoted, zsh takes ? and & for its own."""
    for file in (ROOT / "README.md", *(ROOT / "addon/docs").glob("*.md")):
        for block in BLOCK.findall(file.read_text()):
            for line in block.splitlines():
                if "curl" in line and not line.startswith("git"):
                    assert not re.search(r"""(?<!['"$=}\w/])https?://\S*[?&]""", line), f"{file}: {line}"


# In the system's sh, and in the shells that people type into.
SHELLS = [*zip(MAIN, itertools.cycle(("sh", "bash")), strict=False), (NEWEST, "zsh")]


@pytest.mark.parametrize(("version", "shell"), SHELLS)
def test_they_work_as_printed(version: str, shell: str, tmp_path: Path) -> None:
    missing = [tool for tool in (*TOOLS, shell) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    named = version if shell == "zsh" else version.removeprefix("v")  # the demo takes both
    with served(tmp_path, DEMO_VERSION=named, DEMO_PACE="0.2") as printed:
        address = re.search(r"127\.0\.0\.1:\d+", printed)
        assert address, printed
        said = pasted(recipes(), address[0], tmp_path, shell)
        check(said, tmp_path / "repo", version)


def pasted(commands: dict[str, str], address: str, folder: Path, shell: str) -> dict[str, str]:
    """What each recipe prints in one shell, with its exit status in the last line."""
    script = "".join(f"echo '@@@ {at}'\n{text}echo \"status $?\"\n" for at, text in enumerate(commands.values()))
    (folder / "script").write_text(script.replace("127.0.0.1:8080", address))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [shell, "script"], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    parts = re.split(r"^@@@ \d+\n", done.stdout.decode(), flags=re.MULTILINE)[1:]
    assert len(parts) == len(commands), done.stderr
    return dict(zip(commands, parts, strict=True))


def check(said: dict[str, str], repo: Path, version: str) -> None:
    """That each did what it says: a push's test fails at its first attempt, and succeeds at its second."""
    status = "status 0\n"
    assert all(text.endswith(status) for text in said.values()), said
    assert said["Wait for my push"].endswith(f"\nfailure\n{status}")
    assert "Try it" in said["Why did it fail?"] and "job 1, test: step 3, pytest, failed" in said["Why did it fail?"]
    assert "tests/test_parse.py:31  assert None == []" in said["Why did it fail?"]
    log = said["The failed steps' log"]
    assert log.startswith("==> test (1) · failure <==\n=====")
    assert log.endswith(f"1 failed, 213 passed in 4.11s {'=' * 25}\n{status}")
    rerun = said["Rerun what failed"]
    assert '"job": "failed"' in rerun and '"name": "test", "status": "waiting", "previous_status": "failure"' in rerun
    assert ('"name": "test-report"' in rerun) is (int(version[1:]) >= 15)
    followed = said["Follow the logs"]
    assert "==> test (1)" in followed and "214 passed in 4.02s" in followed and "1 failed" not in followed
    with zipfile.ZipFile(repo / "test-report.zip") as archive:
        assert b"214 passed" in archive.read("report.txt")
    with zipfile.ZipFile(repo / "logs.zip") as archive:
        test = "1-test.attempt-2.log" if int(version[1:]) >= 13 else "1-test.log"
        assert archive.namelist() == ["0-build.log", test, "2-lint (mypy).log", "3-lint (ruff).log"]
    assert said["The jobs that failed"] == status  # the rerun has succeeded
    agent = said["In a coding agent"]
    assert re.search(r"^### Run \d+: failure$", agent, re.MULTILINE) and agent.endswith("exit status 1\nstatus 0\n")
    assert "1 failed, 213 passed" in agent
    ended = repo / ".git/ci.log"
    eventually(lambda: "With a hook" in ended.read_text() and "1 failed, 213 passed" in ended.read_text())
