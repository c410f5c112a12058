"""Ordinary traffic on a real server: the same through the proxy as without it."""

from __future__ import annotations

import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.live.conftest import Stage
from tests.live.forgejo import RealForgejo
from tests.live.server import PRIVATE

pytestmark = pytest.mark.live
MEGABYTES = 50


@pytest.fixture(params=["direct", "proxied"])
def base(request: pytest.FixtureRequest, stage: Stage) -> str:
    """Where the client goes: every test runs both ways and expects the same."""
    return stage.server.url if request.param == "direct" else stage.proxy.url


@pytest.fixture
def server(stage: Stage) -> RealForgejo:
    assert isinstance(stage.server, RealForgejo)
    return stage.server


def git(*arguments: str, where: Path) -> str:
    """git's output; it reads no configuration of the user's, and never asks."""
    environment = {
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "HOME": str(where),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    settings = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "http.proxy="]
    ran = subprocess.run(["git", *settings, *arguments], cwd=where, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_git_clone_and_push_of_a_large_pack(server: RealForgejo, base: str, tmp_path: Path) -> None:
    token = server.tokens["writer"]
    url = f"{base.replace('://', f'://{server.users["writer"]}:{token}@')}/{server.repo()}.git"
    git("clone", "--quiet", url, "one", where=tmp_path)
    one, branch = tmp_path / "one", f"large-{secrets.token_hex(4)}"
    (one / "noise").write_bytes(secrets.token_bytes(MEGABYTES << 20))
    git("checkout", "--quiet", "-b", branch, where=one)
    git("add", ".", where=one)
    git("commit", "--quiet", "-m", "a large file", where=one)
    git("push", "--quiet", "origin", branch, where=one)
    git("clone", "--quiet", "--depth", "1", "--branch", branch, url, "two", where=tmp_path)
    two = tmp_path / "two"
    git("fsck", "--strict", where=two)
    assert git("rev-parse", "HEAD", where=two) == git("rev-parse", "HEAD", where=one)
    assert (two / "noise").read_bytes() == (one / "noise").read_bytes()


def test_a_large_upload_comes_back_whole(server: RealForgejo, base: str) -> None:
    data, owner = secrets.token_bytes(MEGABYTES << 20), server.users["owner"]
    url = f"{base}/api/packages/{owner}/generic/noise-{secrets.token_hex(4)}/1.0/noise.bin"
    as_owner = (owner, server.passwords["owner"])
    try:
        assert requests.put(url, data=data, auth=as_owner, timeout=120).status_code == 201
        assert requests.get(url, auth=as_owner, timeout=120).content == data
        part = requests.get(url, auth=as_owner, headers={"Range": "bytes=100-199"}, timeout=120)
        assert (part.status_code, part.content) == (206, data[100:200])
    finally:
        requests.delete(url.rpartition("/")[0], auth=as_owner, timeout=60)  # Forgejo takes the bytes away a day later


def test_a_web_session_posts_a_form(server: RealForgejo, base: str) -> None:
    title = f"made in the browser {secrets.token_hex(4)}"
    answer = server.browser("owner", base).submit(
        f"/{server.repo()}/issues/new", {"title": title, "content": "ünïcödé"}
    )
    assert answer.status_code in (200, 303), answer.text[:300]
    issues = server.owner("GET", f"/repos/{server.repo()}/issues", {}).json()
    assert [issue["body"] for issue in issues if issue["title"] == title] == ["ünïcödé"]


def test_the_api_answers_the_same(server: RealForgejo, stage: Stage) -> None:
    headers = {"Authorization": f"token {server.tokens['reader']}"}
    paths = (
        "/version",
        f"/repos/{server.repo(PRIVATE)}",
        "/user",
        "/repos/nobody/nothing",
        f"/repos/{server.repo()}/branches",
    )
    for path in paths:
        direct, proxied = (
            requests.get(f"{where}/api/v1{path}", headers=headers, timeout=30)
            for where in (server.url, stage.proxy.url)
        )
        assert (proxied.status_code, proxied.json()) == (direct.status_code, direct.json()), path
        assert set(proxied.headers) == set(direct.headers), path


def test_user_events_arrive_when_they_happen(server: RealForgejo, base: str) -> None:
    """The stream that every open page holds. It says nothing, not even its head, until somebody signs out elsewhere;
    and who signed out before it was opened is not told, so that is done again until it is seen."""
    session = server.browser("reader", base).session

    def told() -> bool:
        with session.get(f"{base}/user/events", stream=True, timeout=60) as answer:
            assert answer.status_code == 200
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            return b"event: logout" in answer.iter_lines(chunk_size=1)

    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(told)
        while not seen.done():
            server.browser("reader").click("/user/logout")
    assert seen.result()
