"""The demo as a newcomer meets it: ./run.sh's program, the lines it prints, and the README's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from html import escape

import pytest
import requests

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
    assert len(lines) == 3, printed
    summary, log, rerun = map(curl, lines)
    assert "job 1, test: step 3, pytest, failed" in summary and "1 failed, 213 passed" in log
    assert '"status": "waiting"' in rerun


def test_the_introduction_names_the_pages(printed: str) -> None:
    """In their order: who the caller is, what to try, where to look."""
    order = [printed.index(text) for text in ("You are alice", "curl", "In a browser", "Documentation", "Look inside")]
    assert order == sorted(order) and printed.index("listening on") < order[0]


def test_the_front_page_leads_to_runs_and_documentation(printed: str) -> None:
    root = re.search(r"In a browser: +(http://\S+)/", printed)
    assert root
    front = requests.get(f"{root[1]}/", timeout=20).text
    for link in re.findall('href="([^"]+)"', front):
        answer = requests.get(root[1] + link, timeout=20, headers={"Accept": "text/html"})
        assert answer.status_code == 200 and answer.url.startswith(root[1]), link
    for command in re.findall(r"^  (curl .*)$", printed, re.MULTILINE):
        assert escape(command) in front


def test_a_runs_link_leads_to_a_page_with_its_log(printed: str) -> None:
    root = re.search(r"In a browser: +(http://\S+)/", printed)
    assert root
    run = requests.get(f"{root[1]}/api/v1/repos/org/repo/actions/runs/by-number/42", timeout=20).json()
    page = requests.get(f"{run['html_url']}/jobs/1", timeout=20)
    assert page.url.startswith(root[1]) and "Parse empty input" in page.text and "1 failed, 213 passed" in page.text


def test_the_readmes_lines_are_the_printed_ones(printed: str) -> None:
    start = (ROOT / "README.md").read_text().partition("\n## Start\n")[2].partition("\n## ")[0]
    written = [line.replace("127.0.0.1:8080", "HERE") for line in re.findall(r"^curl .*$", start, re.MULTILINE)]
    shown = [re.sub(r"127\.0\.0\.1:\d+", "HERE", line) for line in re.findall(r"^  (curl .*)$", printed, re.MULTILINE)]
    assert written == shown


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
