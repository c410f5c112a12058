"""The permission matrix: what the product lets each caller do, against what the server itself says to the same caller.

The server says it on its own page in a session of that person, and from version 16 on by its own routes. No expectation
is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.live.browser import Browser
from tests.live.conftest import Stage
from tests.live.rights import CALLERS, Rights, make
from tests.live.server import eventually

ATTEMPT = re.compile(r"/attempt/[0-9]+$")
# Before this version no route of the API needs the right to Actions, and the product is stricter than the server.
EXACT_SINCE = 9


@dataclass(frozen=True)
class Matrix:
    """The repositories with the number of a run that waits, and the people's sessions; None for who can't sign in."""

    stage: Stage
    runs: dict[str, int]
    sessions: dict[str, Browser | None]

    def by_product(self, caller: str | None, repo: str) -> Rights:
        """What a caller's token may do through the proxy. The cancel is a dry run."""
        return Rights(
            self._asked("GET", caller, repo, "jobs"), self._asked("POST", caller, repo, "cancel?dry_run=true")
        )

    def by_page(self, caller: str | None, repo: str) -> Rights:
        """What the server's page shows to that person."""
        role = (caller or "").removesuffix("-read").removesuffix("-issue").removesuffix("-public")
        session = self.sessions[caller if caller in self.sessions else role] if caller else None
        if caller and session is None:
            return Rights(False, False)
        path = f"/{repo}/actions/runs/{self.runs[repo]}"
        if session is None:
            page = requests.get(self.stage.server.url + path, allow_redirects=False, timeout=30)
            return Rights(_shows_a_run(page), False)
        page = session.get(path)
        if not _shows_a_run(page):
            return Rights(False, False)
        attempt = ATTEMPT.search(page.headers.get("Location", ""))
        view = session.click(f"{path}/jobs/0{attempt[0] if attempt else ''}")
        return Rights(True, view.json()["state"]["run"]["canCancel"])

    def natively(self, caller: str | None, repo: str, run_id: int) -> bool:
        """Whether the server's own route shows the run's jobs to the same token."""
        url = f"{self.stage.server.url}/api/v1/repos/{repo}/actions/runs/{run_id}/jobs"
        return requests.get(url, headers=self._headers(caller), timeout=30).status_code == 200

    def run_id(self, repo: str) -> int:
        """The database id of the repository's run."""
        url = f"{self.stage.proxy.url}/api/v1/repos/{repo}/actions/runs/by-number/{self.runs[repo]}"
        return int(requests.get(url, headers=self._headers("owner"), timeout=30).json()["id"])

    def _asked(self, method: str, caller: str | None, repo: str, tail: str) -> bool:
        url = f"{self.stage.proxy.url}/api/v1/repos/{repo}/actions/runs/{self.runs[repo]}/{tail}"
        answer = requests.request(method, url, headers=self._headers(caller), timeout=30)
        assert answer.status_code in (200, 401, 403, 404, 409), answer.text
        return answer.status_code == 200

    def _headers(self, caller: str | None) -> dict[str, str]:
        return {"Authorization": f"token {self.stage.server.tokens[caller]}"} if caller else {}


def _shows_a_run(page: requests.Response) -> bool:
    """Whether it is a run's page or leads to one. An account that may not sign in gets a page that says so, with 200."""
    return page.status_code == 307 or (page.status_code == 200 and "repo-action-view" in page.text)


@pytest.fixture(scope="module")
def matrix(stage: Stage) -> Iterator[Matrix]:
    runs = make(stage.server, stage.scenes["waiting"].number)
    sessions = {role: _session(stage, role) for role in stage.server.users}
    found = Matrix(stage, runs, sessions)
    for repo in runs:  # a push makes its run some time later
        assert eventually(lambda repo=repo: found.by_product("owner", repo).read or None), repo
    return found


def _session(stage: Stage, role: str) -> Browser | None:
    try:
        return stage.server.browser(role)
    except RuntimeError:
        return None


def test_nobody_may_more_than_the_server_says(matrix: Matrix) -> None:
    """A token may be less than its person, so only whole ones are compared both ways.

    What everybody may read, a restricted user may read who signs out.
    """
    too_much, too_little = [], []
    for repo in matrix.runs:
        everybody = matrix.by_page(None, repo)
        for caller in CALLERS:
            product, page = matrix.by_product(caller, repo), matrix.by_page(caller, repo)
            if (product.read and not (page.read or everybody.read)) or (product.write and not page.write):
                too_much.append((caller, repo, product, page))
            if product != page and (caller is None or caller in matrix.sessions):
                too_little.append((caller, repo, product, page))
    assert too_much == []
    assert matrix.stage.major < EXACT_SINCE or too_little == []


def test_a_token_reads_what_the_servers_own_routes_show_it(matrix: Matrix) -> None:
    if matrix.stage.major < 16:
        return
    different = []
    for repo in matrix.runs:
        run_id = matrix.run_id(repo)
        for caller in CALLERS:
            product, native = matrix.by_product(caller, repo).read, matrix.natively(caller, repo, run_id)
            if product is not native:
                different.append((caller, repo, product, native))
    assert different == []
