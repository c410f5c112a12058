"""Every caller × every repository × every operation: the expected status, and no refusal touches the admin session."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from addon.forgejo.admin.credentials import totp
from tests.conftest import MAIN, VERSIONS, Target
from tests.double import JobSpec
from tests.double.sessions import Session
from tests.forgejo.access_table import BY_ID, IN_VAIN, OPERATIONS, OWN_SINCE, REPOSITORIES, expected
from tests.support import client

# The oldest, the one whose grid is written out, and the newest.
TABLES = sorted({*MAIN, "v13"}, key=VERSIONS.index)

RESTRICTED = ("restricted", "restricted-actions", "restricted-code")
PEOPLE = (
    *("owner", "reader", "writer", "administrator", "second", "stranger", "inactive", "prohibited"),
    *("actions-only", "actions-writer", "code-only", *RESTRICTED),
)
# The repositories that organisations own, and who sees these. Those in VISIBLE are not private themselves.
ORGANISATIONS = {"team": "public", "open": "public", "limited": "limited", "hidden": "private"}
VISIBLE = ("public", "open", "limited", "hidden")
STRANGE_TO_COLLABORATORS = ("open", "limited", "hidden")
TOTP = "JBSWY3DPEHPK3PXP"
SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Asks:
    """A caller: what the request carries."""

    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


class Scene:
    """The table's people and repositories in a stand-in's world, under names of its own."""

    def __init__(self, target: Target, unique: str, operation: str) -> None:
        self._operation = OPERATIONS.get(operation) or BY_ID[operation]
        self._world, self._unique, self._target = target.world, unique, target
        self.people = {name: self._world.user(f"{name}-{unique}") for name in PEOPLE}
        self.people["second"].totp = TOTP
        self.people["inactive"].active, self.people["prohibited"].prohibited = False, True
        for name in RESTRICTED:
            self.people[name].restricted = True
        self.repos = {name: self._repo(name) for name in REPOSITORIES if name != "missing"}
        self.names = {name: repo.full_name for name, repo in self.repos.items()} | {"missing": f"owner-{unique}/none"}
        self._world.rename(self.repos["renamed"], f"owner-{unique}/new-name")
        self.callers = self._callers()
        for repo in self.repos.values():
            for _ in self.callers:
                run = self._world.run(repo, jobs=[JobSpec("build")])
                if not self._operation.on_waiting:
                    self._world.play(run.jobs[0], "success", [["done"]])

    def _repo(self, name: str) -> Any:
        owner = self._org(name) if name in ORGANISATIONS else f"owner-{self._unique}"
        repo = self._world.repo(f"{owner}/{name}", private=name not in VISIBLE, archived=name == "archived")
        repo.has_actions = name != "off"
        if name in STRANGE_TO_COLLABORATORS:
            return repo
        rights = {"reader": "read", "second": "read", "writer": "write", "administrator": "admin"}
        for person, right in {**rights, "inactive": "write", "prohibited": "write"}.items():
            repo.collaborators[self.people[person]] = right
        return repo

    def _org(self, repo: str) -> str:
        """An organisation whose teams have rights to one unit each."""
        name, people = f"org-{repo}-{self._unique}", self.people
        org = self._world.org(name)
        org.visibility = ORGANISATIONS[repo]
        org.team("actions", [people["actions-only"], people["restricted-actions"]], {"repo.actions": "read"})
        org.team("code", [people["code-only"], people["restricted-code"]], {"repo.code": "write"})
        org.team("runs", [people["actions-writer"]], {"repo.actions": "write"})
        return name

    def _callers(self) -> dict[str, Asks]:
        people, token = self.people, self._token
        cookie = self._target.double.world.version.session_cookie
        session = self._target.double.sessions.begin(Session(user=self._world.admin))
        revoked = token("writer")
        self._world.revoke(revoked)
        admin = self._world.token(self._world.admin, "all")
        sudo = {name: people[name].name for name in ("reader", "stranger", "restricted")}
        return {
            "anonymous": Asks(),
            **{name: _token(token(name)) for name in PEOPLE if name not in ("owner", "second")},
            "site-admin": _token(admin),
            "read-token": _token(token("writer", "read:repository")),
            "other-scope": _token(token("writer", "write:issue")),
            "public-only": _token(token("writer", public_only=True)),
            "specific": _token(token("writer", repositories=[self.repos["private"]])),
            "revoked": _token(revoked),
            "malformed": _token("~~~"),
            "basic": _basic(people["writer"].name, people["writer"].password),
            "basic-wrong": _basic(people["writer"].name, "wrong"),
            "otp": Asks(
                {**_basic(people["second"].name, people["second"].password).headers, "X-Forgejo-OTP": totp(TOTP)}
            ),
            "otp-missing": _basic(people["second"].name, people["second"].password),
            "sudo-reader": Asks(_token(admin).headers, {"sudo": sudo["reader"]}),
            "sudo-stranger": Asks({**_token(admin).headers, "Sudo": sudo["stranger"]}),
            "sudo-restricted": Asks(_token(admin).headers, {"sudo": sudo["restricted"]}),
            "sudo-refused": Asks(_token(token("writer")).headers, {"sudo": sudo["reader"]}),
            "cookie": Asks({"Cookie": f"{cookie}={session}"}),
            "job-token": _token(token("stranger", job_of=self.repos["private"])),
            "two-tokens": Asks({"Authorization": f"token {token('stranger')}, token {token('writer')}"}),
        }

    def _token(self, person: str, scope: str = "all", **limits: Any) -> str:
        return str(self._world.token(self.people[person], scope, **limits))

    def ask(self, caller: str, repo: str) -> int:
        """The status of one cell."""
        number = list(self.callers).index(caller) + 1
        asks = self.callers[caller]
        run = self.repos[repo].runs[number - 1] if repo in self.repos else None
        path = self._operation.path.format(n=number, run=run.id if run else 1, job=run.jobs[0].id if run else 1)
        url = f"{self._target.proxy.url}/api/v1/repos/{self.names[repo]}/actions/{path}"
        answer = client.request(self._operation.method, url, headers=asks.headers, params=asks.parameters, timeout=20)
        assert "X-Actions-Extension" in answer.headers
        return answer.status_code

    def by_session(self) -> set[str]:
        """The repositories of this scene that the administrator's session was used on."""
        paths = [seen.path for seen in self._target.double.requests_by_session()]
        names = self.names | {"renamed": self.repos["renamed"].full_name}
        return {repo for repo, name in names.items() if any(path.startswith(f"/{name}/") for path in paths)}


def _token(value: str) -> Asks:
    return Asks({"Authorization": f"token {value}"})


def _basic(name: str, password: str) -> Asks:
    return Asks({"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()})


def wrong(scene: Scene, cells: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], tuple[int, int]]:
    """The cells that are not answered as expected: what came, and what should have. Several are asked at a time."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        found = zip(cells, pool.map(lambda cell: scene.ask(*cell), cells), strict=True)
        return {cell: (status, cells[cell]) for cell, status in found if status != cells[cell]}


@pytest.mark.parametrize("target", TABLES, indirect=True)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_caller_and_repository(target: Target, unique: str, operation: str) -> None:
    check(target, unique, operation)


def check(target: Any, unique: str, operation: str) -> None:
    """The refusals come first, so that any use of the session on these repositories is a refusal's."""
    table = expected(target.version, operation)
    yes = (OPERATIONS.get(operation) or BY_ID[operation]).yes
    scene = Scene(target, unique, operation)
    assert {caller for caller, _ in table} == set(scene.callers)
    in_vain = IN_VAIN.get(target.version, set()) & table.keys()
    granted = {cell for cell, status in table.items() if status == yes} | in_vain
    assert wrong(scene, {cell: table[cell] for cell in table if cell not in granted}) == {}
    assert scene.by_session() == set()
    assert wrong(scene, {cell: table[cell] for cell in granted}) == {}
    as_themselves = int(target.version[1:]) >= OWN_SINCE.get(operation, math.inf)
    assert scene.by_session() == (set() if as_themselves else {repo for _, repo in granted})
