"""Who may read and who may rerun, and that a refusal never touches the administrator's session."""

from __future__ import annotations

import base64

import pytest

from tests.conftest import Target
from tests.support.sample import Sample, sample


def session_requests(target: Target, demo: Sample) -> list[object]:
    """What the administrator's session was used for on this test's repository."""
    return [seen for seen in target.double.requests_by_session() if demo.repo.full_name in seen.path]


def test_a_stranger_sees_no_private_repository(target: Target, demo: Sample) -> None:
    strange = target.request("GET", f"{demo.base}/latest/logs", demo.stranger)
    missing = target.request("GET", "/api/v1/repos/no/such/actions/runs/latest/logs", demo.stranger)
    assert strange.status_code == missing.status_code == 404
    assert strange.json()["message"].replace(demo.repo.full_name, "no/such") == missing.json()["message"]
    assert target.request("GET", f"{demo.base}/latest").status_code == 404
    assert session_requests(target, demo) == []


@pytest.mark.parametrize("path", ["latest", "1/logs", "2/jobs", "1/summary", "by-number/1"])
def test_no_refused_caller_uses_the_session(target: Target, demo: Sample, path: str) -> None:
    wrong_scope = target.world.token(demo.repo.owner, "read:issue")
    revoked = target.world.token(demo.repo.owner, "all")
    target.world.revoke(revoked)
    expected = {wrong_scope: 403, revoked: 401, "f" * 40: 401, "not a token": 401, demo.stranger: 404, None: 404}
    for token, status in expected.items():
        answer = target.request("GET", f"{demo.base}/{path}", token)
        assert answer.status_code == status
        assert token is None or token not in answer.text  # some versions quote what they refuse
    assert session_requests(target, demo) == []


def test_anyone_reads_a_public_repository(target: Target, unique: str) -> None:
    demo = sample(target.world, f"public-{unique}", private=False)
    assert target.request("GET", f"{demo.base}/latest/logs").status_code == 200
    assert target.request("POST", f"{demo.base}/latest/rerun").status_code in (401, 403)


@pytest.mark.parametrize("form", ["token", "Bearer", "basic-token", "basic-password", "query", "access_token"])
def test_every_form_of_credentials(target: Target, demo: Sample, form: str) -> None:
    owner, url = demo.repo.owner, f"{demo.base}/1/logs"
    basic = {
        "basic-token": f"{owner.name}:{demo.owner}",
        "basic-password": f"{owner.name}:{owner.password}",
    }
    if form in basic:
        headers = {"Authorization": "Basic " + base64.b64encode(basic[form].encode()).decode()}
        answer = target.request("GET", url, headers=headers)
    elif form in ("query", "access_token"):
        answer = target.request("GET", url, params={form.replace("query", "token"): demo.owner})
    else:
        answer = target.request("GET", url, headers={"Authorization": f"{form} {demo.owner}"})
    assert answer.status_code == 200, answer.text


def test_where_everybody_must_sign_in(target: Target, unique: str) -> None:
    """REQUIRE_SIGNIN_VIEW: nothing is open to everybody. On v7 only those read whose teams all may."""
    world, org = target.world, target.world.org(f"org-{unique}")
    repo, coder, stranger = world.repo(f"org-{unique}/open", private=False), f"coder-{unique}", f"stranger-{unique}"
    users = {name: world.user(name) for name in (coder, stranger)}
    users[coder].restricted = True
    org.team("code", [users[coder]], {"repo.code": "write"})
    world.play(world.run(repo).jobs[0], "success")
    url = f"/api/v1/repos/{repo.full_name}/actions/runs/1"
    target.double.settings.REQUIRE_SIGNIN_VIEW = True
    try:
        assert target.request("GET", f"{url}/jobs").status_code == 403
        assert target.request("GET", f"{url}/jobs", world.token(users[coder], "all")).status_code == 403
        strange = target.request("GET", f"{url}/jobs", world.token(users[stranger], "all")).status_code
        assert strange == (403 if target.version == "v7" else 200)
    finally:
        target.double.settings.REQUIRE_SIGNIN_VIEW = False


def test_a_cookie_is_no_credential(target: Target, demo: Sample) -> None:
    cookie = {"Cookie": "session=x; i_like_gitea=x"}
    assert target.request("GET", f"{demo.base}/1/logs", headers=cookie).status_code == 404
    assert session_requests(target, demo) == []


def test_sudo_is_the_other_users_right(target: Target, demo: Sample) -> None:
    admin = target.world.token(target.world.admin, "all")
    name = next(user.name for user in demo.repo.collaborators)
    assert target.request("GET", f"{demo.base}/1/logs", admin, params={"sudo": name}).status_code == 200
    stranger = target.world.user(f"other-{demo.repo.owner.name}").name
    assert target.request("GET", f"{demo.base}/1/logs", admin, params={"sudo": stranger}).status_code == 404
    assert target.request("GET", f"{demo.base}/1/logs", demo.reader, params={"sudo": name}).status_code == 403


def test_a_revoked_token_is_refused_at_once(target: Target, demo: Sample) -> None:
    assert target.request("GET", f"{demo.base}/1/logs", demo.reader).status_code == 200
    target.world.revoke(demo.reader)
    assert target.request("GET", f"{demo.base}/1/logs", demo.reader).status_code == 401


def test_turned_off_actions(target: Target, demo: Sample) -> None:
    demo.repo.has_actions = False
    assert target.request("GET", f"{demo.base}/1/logs", demo.reader).status_code in (403, 404)


def team(target: Target, unique: str, units: dict[str, str]) -> tuple[str, str]:
    """An organisation's repository with a green run, and a token of a team member with these rights."""
    world = target.world
    org = world.org(f"org-{unique}")
    repo = world.repo(f"org-{unique}/demo")
    member = world.user(f"member-{unique}")
    org.team("team", members=[member], units=units)
    from tests.double import JobSpec

    run = world.run(repo, workflow_id="ci.yml", title="x", jobs=[JobSpec("build")])
    world.play(run.jobs[0], "success", [["x"]])
    return f"/api/v1/repos/org-{unique}/demo/actions/runs", world.token(member, "all")


def test_code_rights_are_not_actions_rights(target: Target, unique: str) -> None:
    base, token = team(target, unique, {"repo.code": "write"})
    assert target.request("GET", f"{base}/1/logs", token).status_code in (403, 404)
    assert target.request("POST", f"{base}/1/rerun", token).status_code in (403, 404)
    assert [seen for seen in target.double.requests_by_session() if f"org-{unique}" in seen.path] == []


def test_actions_rights_are_enough(target: Target, unique: str) -> None:
    """v7 can't tell rights to Actions without rights to code, and refuses."""
    base, token = team(target, unique, {"repo.actions": "read"})
    assert target.request("GET", f"{base}/1/logs", token).status_code == (403 if target.version == "v7" else 200)
    assert target.request("POST", f"{base}/1/rerun", token).status_code in (403, 404)


def test_a_read_only_token_of_a_writer_can_not_rerun(target: Target, demo: Sample) -> None:
    """v7 shows the right of the token's owner, not of the token."""
    token = target.world.token(demo.repo.owner, "read:repository")
    assert target.request("GET", f"{demo.base}/1/logs", token).status_code == 200
    assert target.request("POST", f"{demo.base}/1/rerun", token).status_code == 403
