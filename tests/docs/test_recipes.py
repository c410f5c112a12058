"""The README's recipes, each executed as it is printed, against the demo of every stand-in version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from addon import ROOT
from tests.conftest import VERSIONS
from tests.support.proxy import eventually
from tests.support.served_demo import served

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PERSON = {f"GIT_{who}_{what}": f"{who}@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
TITLES = [
    "", "Wait for my push", "Why did it fail", "The failed step's log", "Rerun what failed", "Follow a log",
    "Download an artifact", "In a coding agent", "In a `git push` hook",
]  # fmt: skip


def recipes() -> dict[str, str]:
    """The commands under each heading."""
    chapter = README.partition("\n## Recipes\n")[2].partition("\n## ")[0]
    found = {}
    for part in chapter.split("\n### "):
        title = part.partition("\n")[0]
        found[title] = "".join(BLOCK.findall(part))
    return found


def test_every_recipe_has_commands() -> None:
    assert list(recipes()) == TITLES and all(recipes().values())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.skipif(shutil.which("git") is None, reason="the recipes push with git, which is not installed")
def test_they_work_as_printed(version: str, tmp_path: Path) -> None:
    with served(tmp_path, DEMO_VERSION=version, DEMO_PACE="0.2") as printed:
        address = re.search(r"127\.0\.0\.1:\d+", printed)
        assert address, printed
        said = pasted(recipes(), address[0], tmp_path)
        check(said, tmp_path / "repo", version)


def pasted(commands: dict[str, str], address: str, folder: Path) -> dict[str, str]:
    """What each says in one shell, with its exit status in the last line."""
    script = "".join(f"echo '@@@ {at}'\n{text}echo \"status $?\"\n" for at, text in enumerate(commands.values()))
    (folder / "script").write_text(script.replace("127.0.0.1:8080", address))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", **PERSON}
    done = subprocess.run(
        ["sh", "script"], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    parts = re.split(r"^@@@ \d+\n", done.stdout.decode(), flags=re.MULTILINE)[1:]
    assert len(parts) == len(commands), done.stderr
    return dict(zip(commands, parts, strict=True))


def check(said: dict[str, str], repo: Path, version: str) -> None:
    """That each did what it says: a push's test fails at its first attempt, and succeeds at its second."""
    status = "status 0\n"
    assert all(text.endswith(status) for text in said.values()), said
    assert (
        '"display_title": "Try it", "status": "failure", "conclusion": "failure", "done": true'
        in said["Wait for my push"]
    )
    assert "job 1, test: step 3, pytest, failed" in said["Why did it fail"]
    assert "tests/test_parse.py:31  assert None == []" in said["Why did it fail"]
    log = said["The failed step's log"]
    assert log.startswith("==> test (2/4) · failure <==\n=====") and log.endswith(
        f"1 failed, 213 passed in 4.11s {'=' * 25}\n{status}"
    )
    rerun = said["Rerun what failed"]
    assert '"job": "failed"' in rerun and '"name": "test", "status": "waiting", "previous_status": "failure"' in rerun
    assert ('"name": "test-report"' in rerun) is (version in ("v15", "v16"))
    followed = said["Follow a log"]
    assert "==> test (2/4)" in followed and "214 passed in 4.02s" in followed and "1 failed" not in followed
    with zipfile.ZipFile(repo / "test-report.zip") as archive:
        assert b"214 passed" in archive.read("report.txt")
    agent = said["In a coding agent"]
    assert re.search(r"^### Run \d+: failure$", agent, re.MULTILINE) and agent.endswith("exit status 1\nstatus 0\n")
    assert "1 failed, 213 passed" in agent
    ended = repo / ".git/ci.log"
    eventually(lambda: "With a hook" in ended.read_text() and "1 failed, 213 passed" in ended.read_text())
