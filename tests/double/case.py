"""A stand-in with two runs, and a browser that is signed in to it: for tests of the stand-in itself."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.double import Double, JobSpec, Run
from tests.double.model import Repo, User

CI = (JobSpec("build", ["compile", "pack"]), JobSpec("test", ["unit"], ["build"]), JobSpec("lint (mypy)", ["lint"]))


class Web:
    """A browser that keeps cookies whatever their attributes, and sends the CSRF token."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self.cookies: dict[str, str] = {}
        self.lines: list[str] = []

    def ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        headers |= {"X-Csrf-Token": self.cookies.get("_csrf", ""), **kwargs.pop("headers", {})}
        url = self.double.url + path
        answer = requests.request(method, url, headers=headers, allow_redirects=False, timeout=10, **kwargs)
        self.lines = answer.raw.headers.getlist("Set-Cookie")
        for line in self.lines:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.ask("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> requests.Response:
        return self.ask("POST", path, **kwargs)

    def sign_in(self, user: User | None = None, password: str | None = None) -> requests.Response:
        who = user or self.double.world.admin
        form = {"user_name": who.name, "password": password or who.password}
        answer = self.post("/user/login", data=form)
        self.get("/")
        return answer


class Case:
    """One stand-in with a private repository: run 1 green, run 2 waiting; signed in as the administrator."""

    def __init__(self, double: Double) -> None:
        self.double, self.world, self.number = double, double.world, int(double.version[1:])
        self.repo: Repo = self.world.repo("own/demo")
        self.green = self.run()
        for job in self.green.jobs:
            self.world.play(job, "success", [["set up"], ["<b>ünï</b>"]])
        self.waiting = self.run()
        self.web = Web(double)
        assert self.web.sign_in().status_code == 303

    def run(self, **kwargs: Any) -> Run:
        return self.world.run(self.repo, **{"jobs": CI, **kwargs})

    def job(self, run: Run, index: int, attempt: int = 1) -> str:
        tail = f"/attempt/{attempt}" if self.number >= 13 else ""
        return f"/own/demo/actions/runs/{run.index}/jobs/{index}{tail}"

    def view(self, run: Run, index: int = 0, attempt: int = 1, cursors: list[Any] | None = None) -> Any:
        answer = self.web.post(self.job(run, index, attempt), json={"logCursors": cursors or []})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def api(self, method: str, path: str, token: str = "", **kwargs: Any) -> requests.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        return requests.request(
            method, f"{self.double.url}/api/v1{path}", headers=headers, allow_redirects=False, timeout=10, **kwargs
        )


def only(*versions: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", versions, indirect=True)
