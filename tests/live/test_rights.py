"""The permission matrix: what the product lets each caller do, against what the server itself says to the same caller.

The server says it on its own page in a session of that person, and from version 16 on by its own routes. No expectation
is written here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
import requests

from tests.live.browser import Browser
from tests.live.conftest import Stage
from tests.live.rights import ARCHIVED, Rights, callers, make, settle
from tests.live.server import eventually

ATTEMPT = re.compile(r"/attempt/[0-9]+$")
# Before this version no route of the API needs the right to Actions, and the product is stricter than the server.
EXACT_SINCE = 9


@dataclass(frozen=True)
class Matrix:
    """The repositories with number and id of a run that waits, and the people's sessions; None for who can't sign in."""

    stage: Stage
    runs: dict[str, int]
    ids: dict[str, int | None]
    sessions: dict[str, Browser | None]

    def by_product(self, caller: str | None, repo: str) -> Rights:
        """What a caller's token may do through the proxy. The cancel is a dry run."""
        return Rights(
            self._asked("GET", caller, repo, "jobs"), self._asked("POST", caller, repo, "cancel?dry_run=true")
        )

    def by_page(self, role: str | None, repo: str) -> Rights:
        """What the server's page shows to that person. Pages let a run of an archived repository be cancelled."""
        session = self.sessions[role] if role else None
        if role and session is None:
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

    def natively(self, caller: str | None, repo: str) -> bool:
        """Whether the server's own route shows the run's jobs to the same token."""
        url = f"{self.stage.server.url}/api/v1/repos/{repo}/actions/runs/{self.ids[repo]}/jobs"
        return requests.get(url, headers=self._headers(caller), timeout=30).status_code == 200

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


@pytest.fixture(scope="session")
def matrix(stage: Stage) -> Matrix:
    runs = make(stage.server, stage.scenes["waiting"].number)
    ids = {
        repo: eventually(lambda repo=repo: _id(stage, repo, runs[repo])) for repo in runs
    }  # a push makes its run some time later
    assert None not in ids.values()
    settle(stage.server)
    sessions = {role: _session(stage, role) for role in stage.server.users}
    return Matrix(stage, runs, ids, sessions)


def _id(stage: Stage, repo: str, number: int) -> int | None:
    """The database id of a run as soon as there is one; 0 if this version doesn't tell it."""
    answer = stage.request("GET", f"by-number/{number}", "owner", repo)
    return answer.json()["id"] or 0 if answer.status_code == 200 else None


def _session(stage: Stage, role: str) -> Browser | None:
    try:
        return stage.server.browser(role)
    except RuntimeError:
        return None


def test_nobody_may_more_than_the_server_says(matrix: Matrix) -> None:
    """A token may be less than its person, so only whole ones are compared both ways.

    What everybody may read, a restricted user may read who signs out. In an archived repository the product changes
    nothing.
    """
    too_much, too_little = [], []
    for repo in matrix.runs:
        everybody = matrix.by_page(None, repo)
        for caller, role in callers(matrix.stage.major).items():
            product, page = matrix.by_product(caller, repo), matrix.by_page(role, repo)
            if (product.read and not (page.read or everybody.read)) or (product.write and not page.write):
                too_much.append((caller, repo, product, page))
            allowed = replace(page, write=False) if repo.endswith(f"/{ARCHIVED}") else page
            if caller == role and product != allowed:
                too_little.append((caller, repo, product, page))
    assert too_much == []
    assert matrix.stage.major < EXACT_SINCE or too_little == []


def test_a_token_reads_what_the_servers_own_routes_show_it(matrix: Matrix) -> None:
    if matrix.stage.major < 16:
        return
    different = []
    for repo in matrix.runs:
        for caller in callers(matrix.stage.major):
            product, native = matrix.by_product(caller, repo).read, matrix.natively(caller, repo)
            if product is not native:
                different.append((caller, repo, product, native))
    assert different == []
