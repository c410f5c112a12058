"""A real Forgejo: everything is made over its API, and removed again."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections import Counter
from functools import cached_property
from typing import Any

import requests

from tests.live import workflows
from tests.live.runner import Runner, Task
from tests.live.server import PRIVATE, PUBLIC, TOKENS, WRITER_AND_READER, Server, Teams

ARTIFACTS = "/twirp/github.actions.results.api.v1.ArtifactService"


class RealForgejo(Server):
    """Needs nothing but an address and a site administrator's name and password."""

    def __init__(self, url: str, admin: tuple[str, str]) -> None:
        super().__init__()
        self.url = url.rstrip("/")
        self.admin = admin
        self._session = requests.Session()
        self._session.trust_env = False
        self._pushes: Counter[str] = Counter()
        self._runs: Counter[str] = Counter()
        self._made: list[str] = []

    def prepare(self) -> None:
        """Makes people, tokens, repositories and the runner. Raises RuntimeError when the server refuses."""
        for role in list(self.users):
            self.person(role)
        self.repository(PRIVATE)
        self.repository(PUBLIC, private=False)
        self.runner = Runner(self.url, self._registration_token(), self.label)

    @cached_property
    def version(self) -> str:  # type: ignore[override]  # a property all the same
        return str(self._as_admin("GET", "/version").json()["version"]).partition("+")[0]

    def repository(self, name: str, private: bool = True) -> None:
        body = {"name": name, "private": private, "auto_init": True, "default_branch": "main"}
        self.owner("POST", "/user/repos", body)
        self._made.append(f"/repos/{self.repo(name)}")
        for role, right in WRITER_AND_READER:
            self.collaborator(name, role, right)

    def collaborator(self, repo: str, role: str, right: str) -> None:
        self.owner("PUT", f"/repos/{self.repo(repo)}/collaborators/{self.users[role]}", {"permission": right})

    def push(self, workflow: str, title: str, branch: str = "main", repo: str = PRIVATE) -> int:
        """The workflow's file, or another commit that it asks for once it is there."""
        known = f"{repo}/{workflow}"
        if not self._pushes[known]:
            message = title if branch == "main" else "a workflow of branches"
            self._commit(repo, f".forgejo/workflows/{workflow}", workflows.text(workflow, self.label), message)
        if self._pushes[known] or branch != "main":
            self._commit(repo, f"touch/{workflow}/{self._pushes[known]}", title, title, branch)
        self._pushes[known] += 1
        self._runs[repo] += 1
        return self._runs[repo]

    def push_broken(self, repo: str) -> None:
        self._commit(repo, ".forgejo/workflows/broken.yml", workflows.BROKEN, "a broken file")

    def artifact(self, task: Task, name: str, data: bytes) -> None:
        """By the protocol of version 4; `data` should be a zip."""
        token = task.context["gitea_runtime_token"]
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        ids = {
            "workflow_run_backend_id": str(claims["RunID"]),
            "workflow_job_run_backend_id": str(claims["JobID"]),
            "name": name,
        }
        made = self._artifact_call(token, "CreateArtifact", {**ids, "version": 4})
        upload = made["signedUploadUrl"].partition("/twirp/")[2]
        url = f"{self.url}/twirp/{upload}&comp=appendBlock"
        checked(self._session.put(url, data=data, timeout=30))
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self._artifact_call(token, "FinalizeArtifact", {**ids, "size": str(len(data)), "hash": digest})

    def person(self, role: str) -> None:
        name = self.users.setdefault(role, f"{role}-{self.unique}")
        password = self.passwords.setdefault(role, secrets.token_urlsafe(16) + "aA1!")
        user = {"username": name, "email": f"{name}@example.com", "password": password, "must_change_password": False}
        checked(self._as_admin("POST", "/admin/users", user))
        self._made.append(f"/admin/users/{name}?purge=true")
        for suffix, scopes in TOKENS.items():
            self._token(role, f"{role}{suffix}", scopes=scopes)

    def mark(self, role: str, **traits: bool) -> None:
        name = self.users[role]
        checked(self._as_admin("PATCH", f"/admin/users/{name}", {"source_id": 0, "login_name": name, **traits}))

    def token_of(self, role: str, name: str, *repos: str) -> None:
        targets = [dict(zip(("owner", "name"), self.repo(repo).split("/"), strict=True)) for repo in repos]
        self._token(role, name, scopes=["write:repository"], repositories=targets)

    def organisation(self, name: str, visibility: str, teams: Teams, private: bool) -> None:
        self.owner("POST", "/orgs", {"username": name, "visibility": visibility})
        self._made.append(f"/orgs/{name}")
        for team, (units, members) in teams.items():
            body = {"name": team, "permission": "read", "units_map": units, "includes_all_repositories": True}
            number = self.owner("POST", f"/orgs/{name}/teams", body).json()["id"]
            for role in members:
                self.owner("PUT", f"/teams/{number}/members/{self.users[role]}", {})
        repo = {"name": "demo", "private": private, "auto_init": True, "default_branch": "main"}
        self.owner("POST", f"/orgs/{name}/repos", repo)
        self._made.append(f"/repos/{name}/demo")

    def change(self, repo: str, **settings: bool) -> None:
        self.owner("PATCH", f"/repos/{self.repo(repo)}", settings)

    def close(self) -> None:
        """Accounts go last, and with them their tokens, runners and uploads. Raises RuntimeError when something stays."""
        answers = [(path, self._as_admin("DELETE", path)) for path in reversed(self._made)]
        if left := [f"{path} ({answer.status_code})" for path, answer in answers if answer.status_code != 204]:
            raise RuntimeError(f"{self.url} keeps {', '.join(left)}")

    def owner(self, method: str, path: str, body: dict[str, Any]) -> requests.Response:
        """A request to the API as the owner of the repositories; raises RuntimeError when it is refused."""
        headers = {"Authorization": f"token {self.tokens['owner']}"}
        return checked(
            self._session.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30)
        )

    def _artifact_call(self, token: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = self._session.post(f"{self.url}{ARTIFACTS}/{method}", json=body, headers=headers, timeout=30)
        found: dict[str, Any] = checked(answer).json()
        return found

    def _commit(self, repo: str, path: str, text: str, message: str, branch: str = "main") -> None:
        """One new file on a branch; if that is not `main`, it is made from it."""
        body = {"content": base64.b64encode(text.encode()).decode(), "message": message, "branch": branch}
        if branch != "main":
            body |= {"branch": "main", "new_branch": branch}
        self.owner("POST", f"/repos/{self.repo(repo)}/contents/{path}", body)

    def _token(self, role: str, name: str, **options: object) -> None:
        user = self.users[role]
        made = self._session.post(
            f"{self.url}/api/v1/users/{user}/tokens",
            json={"name": name, **options},
            auth=(user, self.passwords[role]),
            timeout=30,
        )
        self.tokens[name] = checked(made).json()["sha1"]

    def _registration_token(self) -> str:
        """A runner of the owner goes with the account; where the version has no such route, one of the instance."""
        headers = {"Authorization": f"token {self.tokens['owner']}"}
        url = f"{self.url}/api/v1/user/actions/runners/registration-token"
        answer = self._session.get(url, headers=headers, timeout=30)
        if answer.status_code != 200:
            answer = checked(self._as_admin("GET", "/admin/runners/registration-token"))
        return str(answer.json()["token"])

    def _as_admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        return self._session.request(method, f"{self.url}/api/v1{path}", json=body, auth=self.admin, timeout=30)


def checked(answer: requests.Response) -> requests.Response:
    """The answer, unless it is a refusal."""
    if answer.status_code >= 400:
        request = answer.request
        raise RuntimeError(f"{request.method} {request.url}: {answer.status_code} {answer.text[:300]}")
    return answer
