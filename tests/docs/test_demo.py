"""The demo as a newcomer meets it: ./run.sh's program, the lines it prints, and the README's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from addon import ROOT
from tests.support.served_demo import served


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What ./run.sh prints with no Forgejo configured."""
    with served(tmp_path_factory.mktemp("demo")) as printed:
        yield printed


def curl(line: str) -> str:
    """What a curl line prints."""
    words = [*shlex.split(line), "--silent", "--show-error", "--max-time", "20"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_the_printed_lines_work_when_pasted(printed: str) -> None:
    lines = re.findall(r"^  (curl .*)$", printed, re.MULTILINE)
    assert len(lines) == 5, printed
    log, log42, jobs, summary, rerun = map(curl, lines)
    assert log.endswith("Job finished\n")
    assert "1 failed, 213 passed" in log42
    assert '"total_count": 4' in jobs and '"failed_jobs": [{' in summary
    assert '"status": "waiting"' in rerun


def test_the_readmes_lines_are_the_printed_ones(printed: str) -> None:
    readme = (ROOT / "README.md").read_text().replace(" \\\n        ", " ")
    told = [line.replace("127.0.0.1:8080", "HERE") for line in re.findall(r"\$ (curl .*)", readme)]
    shown = [re.sub(r"127\.0\.0\.1:\d+", "HERE", line) for line in re.findall(r"^  (curl .*)$", printed, re.MULTILINE)]
    assert told == shown


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"FORGEJO_URL": "forge:3000"}, "write scheme, host and port"),
        ({"FORGEJO_URL": "http://forge/sub"}, "without a path"),
        ({"FORGEJO_URL": "http://forge:3000"}, "FORGEJO_ADMIN_USER is not set"),
        ({"FORGEJO_URL": "http://forge:3000", "FORGEJO_ADMIN_USER": "a"}, "set FORGEJO_ADMIN_PASSWORD_FILE"),
        (
            {"FORGEJO_URL": "http://f:1", "FORGEJO_ADMIN_USER": "a", "FORGEJO_ADMIN_PASSWORD_FILE": "/no"},
            "can't be read",
        ),
        ({"LISTEN": "here"}, "LISTEN is 'here'"),
    ],
)
def test_a_wrong_environment_is_one_line(environment: dict[str, str], message: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FORGEJO_", "LISTEN"))}
    done = subprocess.run([str(ROOT / "run.sh")], env=clean | environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.splitlines()) == 1
