"""What the live tests need on a real Forgejo: people, a repository with workflows, a runner. Made over its API, and
removed again."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable
from typing import Any

import requests

from tests.live.runner import Runner, Task

CI = """
on: push
jobs:
  build:
    runs-on: {label}
    steps:
      - {{name: compile, run: make}}
      - {{name: pack, run: tar}}
  test:
    needs: build
    runs-on: {label}
    steps:
      - {{name: unit, run: "true"}}
      - {{name: integration, run: "false"}}
  mypy:
    name: lint (mypy)
    runs-on: {label}
    steps:
      - {{name: lint, run: lint}}
"""
DEPLOY = """
on: push
jobs:
  ship:
    runs-on: {label}
    steps:
      - {{name: ship, run: ship}}
"""
PATIENCE = 20.0


class LiveWorld:
    """A private repository `demo` of a fresh user, with a writer, a reader and a stranger."""

    def __init__(self, url: str, admin: tuple[str, str]) -> None:
        """`admin` is a site administrator's name and password."""
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._admin = admin
        self._unique = secrets.token_hex(4)
        self._label = f"label-{self._unique}"
        self.users: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        for role in ("owner", "writer", "reader", "stranger"):
            self._user(role)
        self.repo = f"{self.users['owner']}/demo"
        self._owner("POST", "/user/repos", {"name": "demo", "private": True, "auto_init": True})
        for role, right in (("writer", "write"), ("reader", "read")):
            self._owner("PUT", f"/repos/{self.repo}/collaborators/{self.users[role]}", {"permission": right})
        self.runner = Runner(self.url, self._registration_token(), self._label)

    @property
    def base(self) -> str:
        """The extension's paths of the repository."""
        return f"/api/v1/repos/{self.repo}/actions/runs"

    @property
    def version(self) -> str:
        """What the server says it is, without what follows `+`."""
        return str(self._api("GET", "/version").json()["version"]).partition("+")[0]

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.partition(".")[0])

    def commit(self, path: str, text: str, message: str, new_branch: str | None = None) -> None:
        """One file on the default branch, or on a new branch made from it."""
        content = base64.b64encode(text.replace("{label}", self._label).replace("{{", "{").replace("}}", "}").encode())
        body = {"content": content.decode(), "message": message}
        self._owner(
            "POST", f"/repos/{self.repo}/contents/{path}", body | ({"new_branch": new_branch} if new_branch else {})
        )

    def task(self) -> Task:
        """The next job, as soon as there is one."""
        found = eventually(self.runner.fetch)
        assert found is not None
        return found

    def play(self, count: int, failing: str | None = None) -> list[Task]:
        """Plays so many jobs to their end; the job named `failing` fails in its second step."""
        played = []
        for _ in range(count):
            task = self.task()
            lines = [[f"{task.job} ünïcödé ✓", "\x1b[32mgreen\x1b[0m", "::group::x"], ["last"]]
            if task.job == failing:
                self.runner.play(task, "failure", [lines[0], ["::error file=a.py,line=1::boom"]], failing=1)
            else:
                self.runner.play(task, "success", lines[: 1 if task.job in ("lint (mypy)", "ship") else 2])
            played.append(task)
        return played

    def close(self) -> None:
        """Removes everything that was made."""
        self._api("DELETE", f"/repos/{self.repo}")
        for name in self.users.values():
            self._api("DELETE", f"/admin/users/{name}?purge=true")

    def _user(self, role: str) -> None:
        name, password = f"{role}-{self._unique}", secrets.token_urlsafe(16) + "aA1!"
        user = {"username": name, "email": f"{name}@example.com", "password": password, "must_change_password": False}
        self._checked(self._api("POST", "/admin/users", user))
        self.users[role] = name
        for suffix, scopes in (("", ["all"]), ("-read", ["read:repository"]), ("-issue", ["read:issue"])):
            made = self._session.post(
                f"{self.url}/api/v1/users/{name}/tokens",
                json={"name": f"t{suffix}", "scopes": scopes},
                auth=(name, password),
                timeout=30,
            )
            self.tokens[role + suffix] = self._checked(made).json()["sha1"]

    def _registration_token(self) -> str:
        """A runner of the repository goes with it; where the version has no such route, one of the instance."""
        path = f"/repos/{self.repo}/actions/runners/registration-token"
        answer = self._session.get(f"{self.url}/api/v1{path}", headers=self._as("owner"), timeout=30)
        if answer.status_code != 200:
            answer = self._checked(self._api("GET", "/admin/runners/registration-token"))
        return str(answer.json()["token"])

    def _as(self, role: str) -> dict[str, str]:
        return {"Authorization": f"token {self.tokens[role]}"}

    def _owner(self, method: str, path: str, body: dict[str, Any]) -> None:
        url = f"{self.url}/api/v1{path}"
        self._checked(self._session.request(method, url, json=body, headers=self._as("owner"), timeout=30))

    def _api(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        return self._session.request(method, f"{self.url}/api/v1{path}", json=body, auth=self._admin, timeout=30)

    @staticmethod
    def _checked(answer: requests.Response) -> requests.Response:
        if answer.status_code >= 400:
            request = answer.request
            raise RuntimeError(f"{request.method} {request.url}: {answer.status_code} {answer.text[:300]}")
        return answer


def eventually[T](look: Callable[[], T | None]) -> T | None:
    """What `look` finds, within a time that is generous for a slow machine; else None."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return found
