"""The stand-in's traps in sessions and pages, and in how it serves them."""

from __future__ import annotations

import threading
import time

import pytest
import requests
from parsel import Selector

from tests.double import Double, Fault
from tests.double.case import Case, Web, only
from tests.double.sessions import passcodes


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
    newest = (state.get("allAttempts") or [{}])[0]
    assert "Erfolg" in (state.get("detail"), *state.get("details", []), *newest.get("status_diagnostics", []))


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
