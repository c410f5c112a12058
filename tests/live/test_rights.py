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
from tests.live.rights import ARCHIVED, REDUCED, Rights, callers, make, settle
from tests.live.server import eventually

ATTEMPT = re.compile(r"/attempt/[0-9]+$")
# Before this version no route of the API needs the right to Actions, and the product is stricter than the server.
EXACT_SINCE = 9
# From this version on the server itself shows and cancels a run by its id.
NATIVE_SINCE = 16


@dataclass(frozen=True)
class Asker:
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
        """What the server's page shows to that person."""
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

    def natively(self, caller: str | None, repo: str) -> Rights:
        """What the server's own routes let the same token do. The cancel is real, so this is asked last; a run that is done can be cancelled too."""
        return Rights(self._native("GET", caller, repo, "jobs"), self._native("POST", caller, repo, "cancel"))

    def _native(self, method: str, caller: str | None, repo: str, tail: str) -> bool:
        url = f"{self.stage.server.url}/api/v1/repos/{repo}/actions/runs/{self.ids[repo]}/{tail}"
        answer = requests.request(method, url, headers=self._headers(caller), timeout=30)
        assert answer.status_code in (200, 204, 401, 403, 404, 423), answer.text
        return answer.status_code < 300

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


@dataclass(frozen=True)
class Case:
    """One caller in one repository: what the product allows, what the page of that person shows, what the routes allow."""

    caller: str | None
    repo: str
    product: Rights
    page: Rights
    native: Rights | None


@pytest.fixture(scope="session")
def matrix(stage: Stage) -> list[Case]:
    runs = make(stage.server)
    # A push makes its run some time later.
    ids = {repo: eventually(lambda repo=repo: _id(stage, repo, runs[repo])) for repo in runs}
    assert None not in ids.values()
    settle(stage.server)
    asker = Asker(stage, runs, ids, {role: _session(stage, role) for role in stage.server.users})
    return [case for repo in runs for case in _cases(asker, repo)]


def _cases(asker: Asker, repo: str) -> list[Case]:
    who = callers(asker.stage.major)
    pages = {role: asker.by_page(role, repo) for role in set(who.values())}
    seen = [Case(caller, repo, asker.by_product(caller, repo), pages[role], None) for caller, role in who.items()]
    if asker.stage.major < NATIVE_SINCE:
        return seen
    return [replace(case, native=asker.natively(case.caller, repo)) for case in seen]


def _id(stage: Stage, repo: str, number: int) -> int | None:
    """The database id of a run as soon as there is one; 0 if this version doesn't tell it."""
    answer = stage.request("GET", f"by-number/{number}", "owner", repo)
    return answer.json()["id"] or 0 if answer.status_code == 200 else None


def _session(stage: Stage, role: str) -> Browser | None:
    try:
        return stage.server.browser(role)
    except RuntimeError:
        return None


def test_nobody_may_more_than_the_server_says(stage: Stage, matrix: list[Case]) -> None:
    """A token may be less than its person, so only whole ones are compared both ways.

    What everybody may read, a restricted user may read who signs out.
    """
    everybody = {case.repo for case in matrix if case.caller is None and case.page.read}
    too_much = [
        case
        for case in matrix
        if (case.product.read and not case.page.read and case.repo not in everybody)
        or (case.product.write and not case.page.write)
    ]
    assert too_much == []
    whole = [case for case in matrix if case.caller not in REDUCED]
    too_little = [case for case in whole if case.product != _allowed(case.page, case.repo)]
    assert stage.major < EXACT_SINCE or too_little == []


def test_a_token_may_what_it_may_on_the_servers_own_routes(stage: Stage, matrix: list[Case]) -> None:
    different = [case for case in matrix if case.native and case.product != _allowed(case.native, case.repo)]
    assert different == []
    assert any(case.native for case in matrix) is (stage.major >= NATIVE_SINCE)


def _allowed(rights: Rights, repo: str) -> Rights:
    """The server's pages and its cancel change archived repositories too; the product does not."""
    return replace(rights, write=False) if repo.endswith(f"/{ARCHIVED}") else rights
