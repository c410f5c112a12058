"""The recorded world, made again in a stand-in, and asked as the recorded principals did."""

from __future__ import annotations

import json
import re
from typing import Any

import requests

from tests.compare_recordings.compare import rows_of
from tests.compare_recordings.exchange import Exchange, set_cookies
from tests.double import Double, JobSpec, Repo, Run, World

RUNNER_CLOCK = 17_935_344_000_000_007  # 2026-11-01T12:00:00.0000007Z, in ticks
TAIL = ["\x1b[32mgreen\x1b[0m ünïcödé ✓", "::group::pack", 'tab\tand <b>html</b> & "quotes"']
SETTING_UP = {"build": "setting up build", "test": "setting up test"}
LINT = ("lint (mypy)", "lint (ruff)")


class Clock:
    """Goes on when told to, so that runs take some seconds."""

    def __init__(self) -> None:
        self.now = 1_795_500_000.0

    def __call__(self) -> float:
        return self.now


class Rebuilt:
    """The recorded world in a stand-in, with the recorded ids, names and commits."""

    def __init__(self, exchanges: list[Exchange], version: str) -> None:
        self.clock = Clock()
        self.world = World(self.clock)
        self.double = Double(version, self.world)
        self.exchanges = {exchange.name.partition("-")[2]: exchange for exchange in exchanges}
        _, owner_name, name, _ = self.exchanges["list"].request["path"].split("/", 3)
        owner = self._people(owner_name)
        missing = self.exchanges["run-missing-view"].body
        self.world.next_id["repo"] = int(re.findall(r"index (\d+)", missing)[0])
        self.repo = self.world.repo(f"{owner_name}/{name}")
        self.repo.collaborators[self.world.users["reader"]] = "read"
        self.world.next_id["run"] = int(self._first_run().get("run_id", 1))
        self.world.next_id["job"] = self._first_run()["job_id"]
        self._runs()
        self._public(owner_name)
        self.tokens = {
            "owner": self.world.token(owner, "all"),
            "owner_read": self.world.token(owner, "read:repository"),
            "owner_issue": self.world.token(owner, "read:issue"),
            "reader": self.world.token(self.world.users["reader"], "all"),
            "stranger": self.world.token(self.world.users["stranger"], "all"),
        }

    def _people(self, owner: str) -> Any:
        self.world.user("reader")
        self.world.user("stranger")
        return self.world.user(owner)

    def _first_run(self) -> dict[str, int]:
        """The first run's id, where a recording tells it, and its first job's."""
        job = json.loads(self.exchanges["run1-job0-view"].body)["state"]["run"]["jobs"][0]["id"]
        runs = self.exchanges["native-runs-by-number"]
        if runs.status == 200:
            return {"job_id": job, "run_id": json.loads(runs.body)["workflow_runs"][0]["id"]}
        return {"job_id": job}

    def _run(self, number: int, workflow: str, jobs: list[JobSpec], branch: str = "main") -> Run:
        recorded = json.loads(self.exchanges[f"run{number}-job0-view"].body)["state"]["run"]
        sha = recorded["commit"]["link"].rpartition("/")[2]
        return self.world.run(self.repo, workflow, recorded["title"], branch, jobs=jobs, sha=sha)

    def _runs(self) -> None:
        ci = [JobSpec("build", ["compile", "pack"]), JobSpec("test", ["unit", "report"], ["build"])]
        ci += [JobSpec(name, ["check"]) for name in LINT]
        ship = [JobSpec("ship", ["push"])]
        first, second, third = self._run(1, "ci.yml", ci), self._run(2, "ci.yml", ci), self._run(3, "deploy.yml", ship)
        for index in (0, 2, 3, 1):
            self._play(first, index)
        for index in (0, 2, 3):
            self._play(second, index)
        rows = [f"ship line {number} {'x' * 60}" for number in range(20_000)]
        self._play(third, 0, [["set"], rows, ["bye"]])
        failing = ["boom", "::error file=a.py,line=3::assertion failed", "exit 1"]
        self._play(second, 1, [["set"], ["unit 0", "unit 1", "unit 2"], failing, ["bye"]], "failure")
        fourth = self._run(4, "ci.yml", ci, "feature/x")
        self._run(5, "deploy.yml", ship, "feature/x")
        job = fourth.jobs[0]
        self.world.pick(job, RUNNER_CLOCK)
        self.clock.now += 2
        self.world.log(job, "set")
        self.world.step(job, 0, "running")
        for number in range(4):
            self.world.log(job, f"build half {number}")

    def _play(self, run: Run, index: int, lines: list[list[str]] | None = None, result: str = "success") -> None:
        job = run.jobs[index]
        if lines is None and job.name in SETTING_UP:
            lines = [[SETTING_UP[job.name]], [f"{job.name} line {number}" for number in range(5)], TAIL, ["bye"]]
        elif lines is None:
            lines = [["set"], [f"lint-{job.name[6:-1]} ok"], ["bye"]]
        self.world.pick(job, RUNNER_CLOCK)
        self.clock.now += 2
        self.world.play(job, result, lines)

    def _public(self, owner: str) -> None:
        """A public repository with one green run, whose row is recorded."""
        row = rows_of(next(e.body for name, e in self.exchanges.items() if name == "anonymous-public-list"))[0]
        repo: Repo = self.world.repo(f"{owner}/public", private=False)
        sha = row["commit"].rpartition("/")[2]
        run = self.world.run(repo, "ci.yml", row["title"], sha=sha, jobs=[JobSpec("hello", ["hello"])])
        self.world.next_id["task"], kept = 1000, self.world.next_id["task"]
        self.world.play(run.jobs[0])
        self.world.next_id["task"] = kept


class Client:
    """Asks as the recorded principals did. It keeps the administrator's cookies itself."""

    def __init__(self, rebuilt: Rebuilt) -> None:
        self._rebuilt = rebuilt
        self._cookies: dict[str, dict[str, str]] = {}

    def ask(self, exchange: Exchange) -> requests.Response:
        asked = exchange.request
        who, headers = asked["as_"], {"Accept": "*/*"}
        cookies = self._cookies.setdefault(who, {}) if who == "admin" else {}
        if who in self._rebuilt.tokens:
            headers["Authorization"] = f"token {self._rebuilt.tokens[who]}"
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
            headers["X-Csrf-Token"] = cookies.get("_csrf", "")
        if exchange.name.endswith("logs-range"):
            headers["Range"] = "bytes=10-49"
        body: dict[str, Any] = {}
        if asked["path"] == "/user/login" and asked["method"] == "POST":
            admin = self._rebuilt.world.admin
            good = exchange.name.endswith("good")
            body = {"data": {"user_name": admin.name, "password": admin.password if good else "wrong"}}
        elif asked["body"] is not None:
            body = {"json": asked["body"]}
        url = self._rebuilt.double.url + asked["path"]
        answer = requests.request(asked["method"], url, headers=headers, allow_redirects=False, timeout=30, **body)
        for name, value in set_cookies(answer):
            if value:
                cookies[name] = value
            else:
                cookies.pop(name, None)
        return answer
