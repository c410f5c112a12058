"""The stand-in's REST API: what each version has, and who may."""

from __future__ import annotations

import requests

from tests.double.case import Case
from tests.double.model import User
from tests.double.sessions import passcodes


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
        limited = probe(world.token(owner, "all", public_only=True))
        assert (probe("", "own/public"), limited) == (401, 403 if case.number < 15 else 404)
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
