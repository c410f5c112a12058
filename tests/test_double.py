"""The stand-in's traps, version by version: a kinder one would let wrong code pass."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from parsel import Selector

from tests.double import Double, Fault, JobSpec, Run
from tests.double.model import Repo, Status, User
from tests.double.sessions import passcodes

VERSIONS = ("v7", "v11", "v13", "v15", "v16")
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


@pytest.fixture(params=VERSIONS)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    with Double(request.param) as double:
        yield Case(double)


def only(*versions: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", versions, indirect=True)


def test_a_job_or_run_that_does_not_exist_is_another_one(case: Case) -> None:
    path = case.job(case.green, 99)
    assert case.web.post(path, json={}).json()["state"]["currentJob"]["title"] == "build"
    assert case.web.get(f"{path}/logs").content == case.green.jobs[0].log_bytes()
    answer = case.web.post(path.replace("runs/1/", "runs/0/"), json={})
    assert answer.json()["state"]["run"]["link"] == "/own/demo/actions/runs/1"


def test_errors_that_are_500(case: Case) -> None:
    path = case.job(case.green, 0)
    cursors = {"logCursors": [{"step": 9, "cursor": 0, "expanded": True}]}
    assert case.web.post(path, json=cursors).headers["Content-Type"] == "text/html; charset=utf-8"
    missing = case.web.post("/own/demo/actions/runs/999/rerun")
    assert missing.status_code == 500 and "resource does not exist" in missing.text
    assert case.web.get("/own/demo/actions/runs/999").status_code == 404
    case.world.pick(case.waiting.jobs[0])
    empty = case.web.get(f"{case.job(case.waiting, 0)}/logs")
    assert empty.status_code == 500 and "file does not exist" in empty.text
    if case.number >= 13:
        assert case.web.get(case.job(case.green, 0, 7)).status_code == 500
        assert case.web.post("/own/demo/actions/runs/1/jobs/0", json={}).status_code == 500
        assert case.web.get("/own/demo/actions/runs/1/jobs/0/logs").status_code == 404


def test_the_run_page(case: Case) -> None:
    answer = case.web.get("/own/demo/actions/runs/1/jobs/0")
    if case.number >= 13:
        assert answer.status_code == 307
        assert answer.headers["Location"] == "http://forgejo.test/own/demo/actions/runs/1/jobs/0/attempt/1"
        answer = case.web.get(case.job(case.green, 0))
    attributes = Selector(answer.text).css("#repo-action-view")[0].attrib
    assert attributes["data-workflow-name"] == "ci.yml"
    assert ("data-initial-post-response" in attributes) == ("data-run-id" in attributes) == (case.number >= 13)


def test_csrf(case: Case) -> None:
    path = "/own/demo/actions/runs/1/rerun"
    without = case.web.post(path, headers={"X-Csrf-Token": "no"})
    crossing = case.web.post(path, headers={"Sec-Fetch-Site": "cross-site"})
    if case.number == 7:
        assert (without.status_code, without.headers["Location"]) == (303, "/")
    elif case.number <= 13:
        assert (without.status_code, without.text) == (400, "Invalid CSRF token.\n")
        assert crossing.status_code == 200
    else:
        assert without.status_code == 200 and crossing.status_code == 403
        assert case.web.post(path, headers={"Origin": "http://elsewhere.test"}).status_code == 403


def test_rerun_of_what_runs(case: Case) -> None:
    case.world.pick(case.waiting.jobs[0])
    answer = case.web.post("/own/demo/actions/runs/2/rerun")
    assert case.waiting.jobs[0].status is Status.RUNNING
    if case.number >= 15:
        assert answer.status_code == 400 and answer.json()["renderFormat"] == "html"
    else:
        assert answer.status_code == 200


def test_rerun_of_one_job(case: Case) -> None:
    case.world.artifact(case.green, "dist", b"zip")
    first = case.green.jobs[0].log_bytes()
    answer = case.web.post("/own/demo/actions/runs/1/jobs/0/rerun")
    assert answer.status_code == 200
    if case.number >= 13:
        assert answer.json()["redirect"].endswith("/runs/1/jobs/0/attempt/2")
    else:
        assert answer.json() == {}
    assert [job.status.value for job in case.green.jobs] == ["waiting", "blocked", "success"]
    assert bool(case.green.artifacts) == (case.number < 15)
    hidden = case.web.get(f"{case.job(case.green, 0)}/logs")
    assert (hidden.status_code, hidden.text) == (404, "job is not started\n")
    if case.number >= 13:
        location = case.web.get("/own/demo/actions/runs/1").headers["Location"]
        assert location.endswith("attempt/2" if case.number >= 15 else "attempt/1")
        attempts = case.view(case.green, 0, 1)["state"]["currentJob"]["allAttempts"]
        assert attempts is None if case.number == 13 else [each["number"] for each in attempts] == [2, 1]
    case.world.play(case.green.jobs[0], "failure", [["again"]])
    newest = case.web.get(f"{case.job(case.green, 0, 2)}/logs").content
    assert newest == case.green.jobs[0].log_bytes() != first
    if case.number >= 13:
        assert case.web.get(f"{case.job(case.green, 0, 1)}/logs").content == first


def test_a_failed_need_skips_and_status_is_each_versions(case: Case) -> None:
    case.world.play(case.waiting.jobs[0], "failure", [["x"]])
    run = case.view(case.waiting)["state"]["run"]
    assert [job["status"] for job in run["jobs"]] == ["failure", "skipped", "waiting"]
    assert run["status"] == ("waiting" if case.number == 7 else "failure")
    assert run["done"] is (case.number == 11)
    case.web.post("/own/demo/actions/runs/2/cancel")
    assert case.waiting.status.value == ("failure" if case.number == 7 else "cancelled")


def test_a_log(case: Case) -> None:
    path, whole = f"{case.job(case.green, 0)}/logs", case.green.jobs[0].log_bytes()
    assert re.fullmatch(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z [^\n]*\n)+", whole)
    part = case.web.get(path, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (
        206,
        whole[5:10],
        f"bytes 5-9/{len(whole)}",
    )
    assert case.web.get(path, headers={"Range": "bytes=99999-"}).status_code == 416
    assert 'filename="ci-build-1.log"' in case.web.ask("HEAD", path).headers["Content-Disposition"]
    case.world.expire_logs(case.green.jobs[0])
    assert (case.web.get(path).status_code, case.web.get(path).text) == (404, "logs have been cleaned up\n")
    cursor = {"logCursors": [{"step": 1, "cursor": 0, "expanded": True}]}
    assert case.web.post(case.job(case.green, 0), json=cursor).status_code == (500 if case.number == 7 else 200)


def test_a_big_log_is_made_up_as_it_is_read(case: Case) -> None:
    size = 3_000_000_017
    case.world.big_log(case.waiting.jobs[0], size)
    path = f"{case.job(case.waiting, 0)}/logs"
    assert case.web.ask("HEAD", path).headers["Content-Length"] == str(size)
    end = case.web.get(path, headers={"Range": "bytes=-200"}).content
    middle = case.web.get(path, headers={"Range": "bytes=1000000000-1000000999"}).content
    again = case.web.get(path, headers={"Range": "bytes=1000000500-1000001499"}).content
    assert len(end) == 200 and end.endswith(b"x\n") and middle[500:] == again[:500]


def test_view_lines(case: Case) -> None:
    cursors = [{"step": step, "cursor": 0, "expanded": True} for step in range(4)]
    view = case.view(case.green, 0, 1, cursors)
    assert [len(step["lines"]) for step in view["logs"]["stepsLog"]] == [1, 1, 0, 0]
    names = [step["summary"] for step in view["state"]["currentJob"]["steps"]]
    assert names == ["Set up job", "compile", "pack", "Complete job"]
    case.green.jobs[0].clock_skew = -1_900_000
    assert case.view(case.green)["state"]["run"]["jobs"][0]["duration"].startswith("-")


def test_sessions(case: Case) -> None:
    token = case.world.token(case.repo.owner, "all")  # type: ignore[arg-type]
    path, bearer = "/own/demo/actions/runs/latest", {"Authorization": f"token {token}"}
    assert requests.get(case.double.url + path, headers=bearer, timeout=10).text == "Not found.\n"
    assert case.web.get("/api/v1/user").status_code == 401
    assert case.web.get("/user/login").status_code == 303
    case.double.restart()
    assert case.web.get(path, headers={"Accept": "text/html"}).headers["Content-Type"] == "text/html; charset=utf-8"
    assert case.web.get("/user/login").status_code == 200
    wrong = case.web.sign_in(password="wrong")
    assert wrong.status_code == 200 and "flash-error" in wrong.text
    assert case.web.sign_in().headers["Location"] == "/"
    assert case.web.get(path).status_code == 307
    names = set(case.web.cookies)
    assert {"session" if case.number >= 15 else "i_like_gitea", "lang"} <= names
    assert ("_csrf" in names) == (case.number <= 13)
    seen = {each.principal for each in case.double.requests_by_session() if each.path == path}
    assert seen == {"session:root-admin"}


def test_remembered(case: Case) -> None:
    user = case.world.user("kept", admin=True)
    web = Web(case.double)
    web.post("/user/login", data={"user_name": "kept", "password": user.password, "remember": "on"})
    assert ("persistent" if case.number >= 15 else "gitea_incredible") in web.cookies
    case.double.restart()
    lost = web.get("/own/demo/actions/runs/latest")
    assert (lost.status_code, lost.headers["Location"]) == (303, "/user/login")
    assert web.get("/user/login").headers["Location"] == "/own/demo/actions/runs/latest"
    assert web.get("/own/demo/actions/runs/latest").status_code == 307


def test_what_stands_before_the_session(case: Case) -> None:
    world = case.world
    assert Web(case.double).sign_in(world.user("key", webauthn=True)).headers["Location"] == "/user/webauthn"
    web, changing = Web(case.double), world.user("changing", must_change_password=True)
    assert web.sign_in(changing).headers["Location"] == "/"
    assert web.get("/user/login").headers["Location"] == "/user/settings/change_password"
    web, careful = Web(case.double), world.user("careful", totp="JBSWY3DPEHPK3PXP")
    assert web.sign_in(careful).headers["Location"] == "/user/two_factor"
    assert "flash-error" in web.post("/user/two_factor", data={"passcode": "x"}).text
    code = max(passcodes("JBSWY3DPEHPK3PXP"))
    assert web.post("/user/two_factor", data={"passcode": code}).status_code == 303
    assert web.get("/user/login").status_code == 303
    case.double.settings.ENABLE_INTERNAL_SIGNIN = False
    assert Web(case.double).sign_in().status_code == (403 if case.number >= 11 else 303)


def test_text_is_localized(case: Case) -> None:
    web = Web(case.double)
    web.cookies = {**case.web.cookies, "lang": "de-DE"}
    state = web.post(case.job(case.green, 0), json={}).json()["state"]["currentJob"]
    assert "Erfolg" in (state.get("detail"), *state.get("details", []))


def test_https_and_a_sub_path(case: Case) -> None:
    with Double(case.double.version, case.world, "https://forge.test/sub/") as double:
        web = Web(double)
        web.get("/user/login")
        answer = web.post(
            "/sub/user/login", data={"user_name": case.world.admin.name, "password": case.world.admin.password}
        )
        assert answer.headers["Location"] == "/sub/"
        cookie = next(line for line in web.lines if line.startswith(("session", "i_like")))
        assert "Secure" in cookie and "Path=/sub;" in cookie
        for prefix in ("", "/sub"):
            answer = web.get(f"{prefix}/own/demo/actions/runs/latest")
            assert answer.headers["Location"] == "https://forge.test/sub/own/demo/actions/runs/2"
        row = Selector(web.get("/own/demo/actions").text).css(".run-list > .flex-item")[0]
        assert row.css('.flex-item-main a[href*="/actions/runs/"]').attrib["href"] == "/sub/own/demo/actions/runs/2"


def test_the_list(case: Case) -> None:
    case.repo.deleted_branches.add("gone")
    case.run(workflow_id="x.yml", title='<i>"t"</i>', branch="gone")
    case.run(workflow_id="x.yml", branch="#12", event="pull_request")
    case.run(workflow_id="x.yml", event="schedule")
    page = Selector(case.web.get("/own/demo/actions?workflow=x.yml&limit=2&page=2").text)
    (row,) = page.css(".run-list > .flex-item")
    link = row.css('.flex-item-main a[href*="/actions/runs/"]')[0]
    assert (link.attrib["title"], row.css(".flex-item-body > b::text").get()) == ('<i>"t"</i>', "#3")
    assert bool(row.css("div.flex-item-title > a")) == (case.number >= 16)
    assert bool(row.css("span.run-list-ref")) == (case.number >= 11)
    assert len(page.css(".pagination.menu a.item.navigation")) == 4
    scheduled, pull = Selector(case.web.get("/own/demo/actions?workflow=x.yml&limit=2").text).css(
        ".run-list > .flex-item"
    )
    assert bool(scheduled.css('.flex-item-body a[href*="/commit/"]')) == (case.number >= 15)
    assert pull.css("a.run-list-ref").attrib["href"] == "/own/demo/pulls/12"
    assert case.web.get("/own/demo/actions/workflows/x.yml/runs/latest").headers["Location"].endswith("/5")
    empty = Selector(case.web.get("/own/demo/actions?workflow=nope.yml").text)
    assert empty.css(".run-list > .empty-placeholder")


def test_the_api_of_each_version(case: Case) -> None:
    token = case.world.token(case.repo.owner, "all")  # type: ignore[arg-type]
    base = "/repos/own/demo/actions"
    tasks, runs = case.api("GET", f"{base}/tasks?limit=1", token), case.api("GET", f"{base}/runs?limit=1", token)
    assert (tasks.status_code, runs.status_code) == (
        200 if case.number >= 9 else 404,
        200 if case.number >= 12 else 404,
    )
    if case.number >= 9:
        assert len(tasks.json()["workflow_runs"]) == 3  # `limit` counts only with `page`
        assert len(case.api("GET", f"{base}/tasks?limit=1&page=1", token).json()["workflow_runs"]) == 1
    else:
        assert tasks.text == "404 page not found\n"
    if case.number >= 12:
        (first,) = case.api("GET", f"{base}/runs?page=1&limit=1", token).json()["workflow_runs"]
        assert first["index_in_repo"] == (2 if case.number >= 15 else 1)
        other = case.api("GET", f"{base}/runs?workflow_id=nope.yml", token).json()["total_count"]
        assert other == (0 if case.number >= 15 else 2)
    native = case.api("GET", f"{base}/runs/{case.green.id}/jobs", token)
    assert native.status_code == (200 if case.number >= 16 else 404)


def test_permission_probes(case: Case) -> None:
    world, owner = case.world, case.repo.owner
    assert isinstance(owner, User)
    reader, stranger = world.user("reader"), world.user("stranger")
    case.repo.collaborators[reader] = "read"
    public = world.repo("own/public", private=False)
    write = "/repos/{}/actions/workflows/_/dispatches"

    def probe(token: str, name: str = "own/demo") -> int:
        return case.api("POST", write.format(name), token, json={}).status_code

    if case.number >= 9:
        assert probe(world.token(owner, "all")) == probe(world.token(owner, "write:repository")) == 400
        assert probe(world.token(owner, "read:repository")) == probe(world.token(reader, "all")) == 403
        assert (probe(world.token(stranger, "all")), probe("f" * 40), probe("")) == (404, 401, 404)
        assert (probe("", "own/public"), probe(world.token(owner, "all", public_only=True))) == (401, 403)
        public.archived = True
        assert probe(world.token(owner, "all"), "own/public") == 423
    else:
        assert probe(world.token(owner, "all")) == 404
    found = case.api("GET", "/repos/OWN/demo", world.token(reader, "read:repository")).json()
    assert found["permissions"] == {"admin": False, "push": False, "pull": True}
    assert case.api("GET", "/repos/own/demo", world.token(owner, "read:issue")).status_code == 403
    branch = case.api("POST", "/repos/own/demo/branches", world.token(owner, "all"), json={})
    assert branch.status_code == 422
    assert case.api("GET", "/repos/own/demo/teams", world.token(owner, "all")).status_code == 405


def test_teams_have_rights_by_unit(case: Case) -> None:
    org, repo = case.world.org("org"), case.world.repo("org/demo")
    runner, coder = case.world.user("runner"), case.world.user("coder")
    org.team("run", [runner], {"repo.actions": "write"})
    org.team("code", [coder], {"repo.code": "write"})
    case.world.run(repo)
    tokens = {user: case.world.token(user, "all") for user in (runner, coder)}
    rights = [case.api("GET", "/repos/org/demo", token).json()["permissions"]["pull"] for token in tokens.values()]
    assert rights == [False, True]
    if case.number >= 9:
        codes = [case.api("GET", "/repos/org/demo/actions/tasks", token).status_code for token in tokens.values()]
        assert codes == [200, 403]
    teams = case.api("GET", "/repos/org/demo/teams", tokens[coder]).json()
    assert [team["units_map"] for team in teams] == [{}, {"repo.actions": "write"}, {"repo.code": "write"}]


def test_renamed(case: Case) -> None:
    case.world.rename(case.repo, "own/later")
    api = case.api("GET", "/repos/own/demo?x=1", case.world.token(case.world.admin, "all"))
    assert (api.status_code, api.headers["Location"]) == (307, "/api/v1/repos/own/later?x=1")
    assert case.web.get("/own/demo/actions").headers["Location"] == "/own/later/actions"


def test_sudo_and_basic(case: Case) -> None:
    user = case.world.user("careful", password="p w:", totp="JBSWY3DPEHPK3PXP")
    url, auth = f"{case.double.url}/api/v1/user", (user.name, "p w:")
    assert requests.get(url, auth=auth, timeout=10).status_code == 401
    code = {"X-Forgejo-OTP": max(passcodes("JBSWY3DPEHPK3PXP"))}
    assert requests.get(url, auth=auth, headers=code, timeout=10).json()["login"] == "careful"
    admin = case.world.token(case.world.admin, "all")
    assert case.api("GET", f"/user?sudo=careful&token={admin}").json()["login"] == "careful"
    assert case.api("GET", "/user?sudo=root-admin", case.world.token(user, "all")).status_code == 403


@only("v15")
def test_faults(case: Case) -> None:
    url, faults = f"{case.double.url}/api/v1/version", case.double.faults
    for kind, value in (("status", 503), ("json", []), ("html", None), ("redirect", "http://evil.test/")):
        faults.append(Fault(match="^GET /api/v1/version$", kind=kind, value=value))
        answer = requests.get(url, allow_redirects=False, timeout=10)
        assert answer.status_code == {"status": 503, "redirect": 307}.get(kind, 200)
    for kind in ("drop", "truncate"):
        faults.append(Fault(match="version", kind=kind))
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(url, timeout=10)
    faults.append(Fault(match="version", kind="endless"))
    with requests.get(url, stream=True, timeout=10) as answer:
        assert sum(len(chunk) for chunk, _ in zip(answer.iter_content(50_000), range(10), strict=False)) > 50_000
    faults.append(Fault(match="version", kind="delay", value=0.2))
    began = time.monotonic()
    assert requests.get(url, timeout=10).status_code == 200
    assert time.monotonic() - began >= 0.2 and faults == []


@only("v15")
def test_connections_stay_open_and_end_with_the_server(case: Case) -> None:
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{case.double.url}/own/demo", timeout=10).status_code == 404
        threads = threading.active_count()
        case.double.stop()
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(f"{case.double.url}/api/v1/version", timeout=10)
        case.double.start()
        assert session.get(f"{case.double.url}/api/v1/version", timeout=10).status_code == 200
        assert threading.active_count() <= threads + 1


@only("v7")
def test_an_upgrade(case: Case) -> None:
    for version in VERSIONS:
        case.double.version = version
        assert case.api("GET", "/version").json()["version"].startswith(version[1:])
        case.double.restart()
        web = Web(case.double)
        web.sign_in()
        assert web.get("/own/demo/actions/runs/1").status_code == (307 if int(version[1:]) >= 13 else 200)
