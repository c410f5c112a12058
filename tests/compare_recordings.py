"""Replays recorded exchanges of real Forgejo servers against the stand-in: python -m tests.compare_recordings DIR.

DIR holds a folder per server version, and in it a JSON file per exchange, replayed in the order of their names. What
differs is printed: status, headers, and of each body what a reader of it relies on. The product's parsers read both
answers as well, and must make the same of them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from parsel import Selector

from addon import pages
from addon.errors import UpstreamUnexpected
from addon.runlist import run_list
from tests.double import Double, JobSpec, Repo, Run, World

RUNNER_CLOCK = 17_935_344_000_000_007  # 2026-11-01T12:00:00.0000007Z, in ticks
SERVER_ERA = 1_795_000_000  # some weeks after the runner's clock
TAIL = ["\x1b[32mgreen\x1b[0m ünïcödé ✓", "::group::pack", 'tab\tand <b>html</b> & "quotes"']
SETTING_UP = {"build": "setting up build", "test": "setting up test"}
CUT = "…cut…"
HEADERS = (
    "Content-Type",
    "Location",
    "Content-Disposition",
    "Content-Range",
    "Accept-Ranges",
    "X-Content-Type-Options",
)
# Values that no two servers share, or that have no bearing on Actions.
VOLATILE = {
    "avatar_url", "email", "event_payload", "handle", "size", "ssh_url", "version", "wiki_clone_url", "wiki_ssh_url",
}  # fmt: skip
LINT = ("lint (mypy)", "lint (ruff)")


@dataclass(frozen=True)
class Exchange:
    """One recorded request and its answer."""

    name: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: str


def load(folder: Path) -> list[Exchange]:
    found = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        answer = content["response"]
        found.append(Exchange(path.stem, content["request"], answer["status"], answer["headers"], answer["body"]))
    return found


# --- the world of the recordings ---


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


# --- asking ---


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


def set_cookies(answer: requests.Response) -> list[tuple[str, str]]:
    lines = answer.raw.headers.getlist("Set-Cookie")
    return [(line.partition("=")[0], line.partition("=")[2].partition(";")[0]) for line in lines]


# --- comparing ---


def rows_of(page: str) -> list[dict[str, str]]:
    """The rows of a list page, as a reader sees them."""
    found = []
    for row in Selector(page).css(".run-list > .flex-item"):
        link = row.css('.flex-item-main a[href*="/actions/runs/"]')[0]
        icon = row.css(".flex-item-leading svg").attrib["class"].split()
        links = row.css(".flex-item-body a")
        commit = row.css('.flex-item-body a[href*="/commit/"]')
        found.append(
            {
                "href": link.attrib["href"],
                "title": link.attrib["title"],
                "text": " ".join(link.css("::text").getall()).strip(),
                "title element": str(bool(row.css("div.flex-item-title > a"))),
                "icon": next(name for name in icon if name.startswith("octicon-")),
                "tooltip": row.css(".flex-item-leading span").attrib["data-tooltip-content"],
                "workflow": row.css(".flex-item-body > b::text").get(""),
                "commit": commit.attrib.get("href", "") if commit else "",
                "actor": links[-1].attrib["href"] if links else "",
                "ref": "".join(row.css(".run-list-ref::text").getall()).strip(),
                "ref link": row.css(".run-list-ref").attrib.get("href", ""),
                "time": str(bool(row.css(".run-list-meta relative-time::attr(datetime)"))),
                "metas": str(len(row.css(".run-list-meta"))),
            }
        )
    return found


def facts(page: str) -> dict[str, Any]:
    """What is read of a page: whose it is, its form, its list, its run."""
    selector = Selector(page)
    view = selector.css("#repo-action-view")
    attributes = {
        name: value for name, value in (view[0].attrib if view else {}).items() if not name.startswith("data-locale-")
    }
    for name in ("data-initial-post-response", "data-initial-artifacts-response"):
        if name in attributes:
            attributes[name] = json.loads(attributes[name])
    return {
        "signed in": bool(selector.css('[data-url$="/user/logout"]')),
        "login form": bool(selector.css('form[action$="/user/login"]')),
        "flash": bool(selector.css(".flash-error")),
        "csrf in script": bool(re.search(r"csrfToken: '[^']", page)),
        "csrf in form": bool(selector.css("form[action$='/user/login'] input[name=_csrf]")),
        "lists": len(selector.css(".run-list")),
        "empty": len(selector.css(".run-list > .empty-placeholder")),
        "rows": rows_of(page),
        "menu": sorted(set(re.findall(r"workflow=([^&]+)", " ".join(_menu(selector))))),
        "pages": [pager_link(each) for each in selector.css(".pagination.menu a.item:not(.navigation)")],
        "navigation": [pager_link(each) for each in selector.css(".pagination.menu a.item.navigation")],
        "whole": bool(selector.css("body > *")) and page.lstrip().startswith("<!DOCTYPE"),
        "view": attributes,
    }


def _menu(selector: Selector) -> list[str]:
    links = selector.css('.ui.fluid.vertical.menu a.item[href*="workflow="]')
    return [link for link in links.css("::attr(href)").getall() if "workflow=&" not in link]


def pager_link(link: Any) -> str:
    """Its state and target; the order of the query does not matter."""
    path, _, query = link.attrib.get("href", "").partition("?")
    return " ".join(
        [path, *sorted(query.split("&")), *sorted({"active", "disabled"} & set(link.attrib["class"].split()))]
    )


def plain(value: Any, key: str = "", status: str = "") -> Any:
    """A JSON value without what is volatile: moments, and durations that depend on the server's clock."""
    if isinstance(value, dict):
        state = str(value.get("status", ""))
        return {name: plain(each, name, state) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each, key, status) for each in value]
    if key in VOLATILE:
        return type(value).__name__
    if key == "duration":
        return _duration(value, status)
    if key == "started" and isinstance(value, int):
        return "the server's" if value > SERVER_ERA else value
    if isinstance(value, str):
        return re.sub(r"20\d\d-\d\d-\d\d[T ][0-9:]+(Z| \+00:00)", "TIME", value)
    return value


def _duration(value: Any, status: str) -> str:
    """Exact when it is short; else only whether it is negative. That of what runs says nothing."""
    text = str(value)
    if status == "running" or not isinstance(value, str):
        return "some"
    return ("negative" if text.startswith("-") else "long") if "h" in text else text


def differences(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """Where two values differ, readable."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in [*expected, *(name for name in found if name not in expected)]:
            if name not in found:
                yield f"{where}.{name}: missing; recorded is {expected[name]!r:.80}"
            elif name not in expected:
                yield f"{where}.{name}: not recorded, but {found[name]!r:.80}"
            else:
                yield from differences(expected[name], found[name], f"{where}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif expected != found:
        yield f"{where}: recorded is {expected!r:.120}, found is {found!r:.120}"


def compare(exchange: Exchange, answer: requests.Response) -> list[str]:
    found = []
    if exchange.status != answer.status_code:
        found.append(f"status: recorded is {exchange.status}, found is {answer.status_code}: {answer.text[:200]!r}")
    for name in HEADERS:
        if exchange.headers.get(name, "") != answer.headers.get(name, ""):
            found.append(f"{name}: recorded is {exchange.headers.get(name)!r}, found is {answer.headers.get(name)!r}")
    names = [part.split(" ")[0] for part in exchange.headers["Set-Cookie names"].split(", ") if part]
    if sorted(names) != sorted(name for name, _ in set_cookies(answer)):
        found.append(f"cookies: recorded are {names}, found are {[name for name, _ in set_cookies(answer)]}")
    if exchange.name.endswith("-logs") or "logs-" in exchange.name:
        length = exchange.headers.get("Content-Length")
        if length != answer.headers.get("Content-Length") and "zip" not in exchange.headers["Content-Type"]:
            found.append(f"Content-Length: recorded is {length}, found is {answer.headers.get('Content-Length')}")
    parsed = [] if exchange.body.endswith(CUT) else [read(exchange, exchange.body), read(exchange, answer.text)]
    return [*found, *bodies(exchange, answer), *(differences(*parsed, "parsed") if parsed else ())]


def read(exchange: Exchange, body: str) -> Any:
    """What the product's parsers make of a body: the model without moments, a refusal's text, or None if not theirs."""
    path, _, _ = exchange.request["path"].partition("?")
    if exchange.status == 307:
        return _comparable(pages.run_link(exchange.headers["Location"].removeprefix("http://forgejo.test")))
    if exchange.status != 200 or body.endswith(CUT):
        return None
    try:
        if 'id="repo-action-view"' in body:
            return _comparable(_run(path, pages.run_page(body)))
        if body.startswith('{"state"'):
            return _comparable(_run(path, pages.RunPage("", None, json.loads(body), None)))
        if path.endswith("/actions") and not path.startswith("/api/"):
            return _comparable(run_list(body))
        if "/actions/runs" in path and body.startswith('{"workflow_runs"'):
            return [_comparable(pages.run_details(run)) for run in json.loads(body)["workflow_runs"]]
        if path.endswith("/artifacts"):
            return _comparable(pages.artifact_list(json.loads(body)))
    except UpstreamUnexpected as refusal:
        return refusal.message
    return None


def _run(path: str, page: pages.RunPage) -> Any:
    if page.view is None:
        return page
    link, job = pages.run_link(path), re.search(r"/jobs/(\d+)", path)
    return pages.run(link.repo, link.number, int(job[1]) if job else 0, page, page.view)


def _comparable(value: Any) -> Any:
    """Plain values; moments and durations only tell whether they are known."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _comparable(getattr(value, each.name)) for each in fields(value) if each.name != "view"}
    if isinstance(value, tuple):
        return [_comparable(each) for each in value]
    return type(value).__name__ if isinstance(value, float | datetime) else value


def bodies(exchange: Exchange, answer: requests.Response) -> list[str]:
    """By the recorded media type. Of a body that was cut, what is left is compared as text."""
    recorded, media_type = exchange.body, exchange.headers.get("Content-Type", "")
    answer.encoding = "utf-8"
    if recorded.startswith("…"):
        return []
    if recorded.endswith(CUT):
        if "json" in media_type:
            return []
        kept = recorded.removesuffix(CUT).removesuffix("\n")
        return [] if answer.text.startswith(kept) else [f"text differs: {answer.text[:200]!r}"]
    if "json" in media_type:
        return list(differences(plain(json.loads(recorded)), plain(answer.json())))
    if "text/html" in media_type and exchange.status == 200:
        return list(differences(plain(facts(recorded)), plain(facts(answer.text))))
    return [] if recorded == answer.text else [f"text: recorded is {recorded[:200]!r}, found is {answer.text[:200]!r}"]


def replay(folder: Path) -> list[str]:
    """The disagreements of one version, each with its exchange's name; prints the count."""
    exchanges = load(folder)
    rebuilt = Rebuilt(exchanges, "v" + folder.name.lstrip("v").partition(".")[0])
    found: list[str] = []
    agree = parsed = 0
    with rebuilt.double:
        client = Client(rebuilt)
        for exchange in exchanges:
            if exchange.name.endswith("probe-tasks-owner") and not rebuilt.world.version.csrf_token:
                # A rerun without a token was tried here. It is not recorded, and where tokens do not exist it worked.
                again = Exchange("", {"as_": "admin", "method": "POST", "body": None}, 200, {}, "")
                again.request["path"] = f"/{rebuilt.repo.full_name}/actions/runs/1/rerun"
                client.ask(again)
            disagreements = compare(exchange, client.ask(exchange))
            agree += not disagreements
            parsed += isinstance(read(exchange, exchange.body), dict | list)
            found += [f"  {folder.name} {exchange.name}: {each}" for each in disagreements]
    print(f"{folder.name}: {len(exchanges)} exchanges, {agree} agree; {parsed} read by the parsers")
    return found


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print("usage: python -m tests.compare_recordings DIR", file=sys.stderr)
        return 2
    folders = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir())
    failed = False
    for folder in sorted(
        folders, key=lambda path: float(path.name.lstrip("v").rsplit(".", path.name.count(".") - 1)[0])
    ):
        for line in replay(folder):
            failed = True
            print(line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
