"""The list of runs: the extension's before v12, Forgejo's own from then on, also after an upgrade."""

from __future__ import annotations

import asyncio
import json
import queue
import sys
import time
from typing import Any

import pyfj
import pytest
import requests

from addon.forgejo import upstream
from addon.forgejo.transport import Transport
from addon.forgejo.upstream import Upstream
from addon.proxy.supervisor import Supervisor
from addon.settings import Settings
from tests.actions.test_reading import RUN_FIELDS
from tests.conftest import Target
from tests.double import Double, JobSpec
from tests.support.proxy import eventually, soon, start_proxy
from tests.support.sample import Sample, sample

pytestmark = pytest.mark.more_versions


def ask(target: Target, demo: Sample, token: str = "", **query: Any) -> requests.Response:
    return target.request("GET", demo.base, token or demo.reader, params=query)


def numbers(answer: requests.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [run["run_number"] for run in answer.json()["workflow_runs"]]


old = pytest.mark.parametrize("target", ["v7", "v11"], indirect=True)


@pytest.mark.parametrize("target", ["v13", "v15", "v17"], indirect=True)
def test_forgejos_own_list_goes_through_as_it_is(target: Target, demo: Sample) -> None:
    for query in ("", "?page=1&limit=2&event=push", "?status=nope", "?anything=else"):
        headers = {"Authorization": f"token {demo.reader}"}
        passed = target.request("GET", f"{demo.base}{query}", demo.reader)
        direct = requests.get(f"{target.double.url}{demo.base}{query}", headers=headers, timeout=20)
        assert (passed.status_code, passed.content) == (direct.status_code, direct.content)
        assert "X-Actions-Extension" not in passed.headers
    assert target.request("POST", demo.base, demo.owner).headers.get("X-Actions-Extension") is None


@old
def test_the_list(target: Target, demo: Sample) -> None:
    answer = ask(target, demo)
    assert answer.headers["X-Actions-Extension"]
    assert (numbers(answer), answer.json()["total_count"]) == ([4, 3, 2, 1], 4)
    assert all(set(run) > RUN_FIELDS for run in answer.json()["workflow_runs"])
    for told in answer.json()["workflow_runs"]:
        run = target.request("GET", f"{demo.base}/by-number/{told['run_number']}", demo.reader).json()
        unknown = {"updated_at", "duration_seconds", "rerunnable", "cancellable"}
        assert {key: told[key] for key in RUN_FIELDS - unknown} == {key: run[key] for key in RUN_FIELDS - unknown}
        assert told["updated_at"].endswith("Z")
        assert told["duration_seconds"] is not None or told["status"] == "failure"  # then other jobs may end later


@old
def test_pages_of_the_list(target: Target, demo: Sample) -> None:
    for page, expected in ((1, [4, 3, 2]), (2, [1]), (3, [])):
        answer = ask(target, demo, page=page, limit=3)
        assert (numbers(answer), answer.json()["total_count"]) == (expected, 4)
    for query in ({"limit": 0}, {"limit": 51}, {"page": 0}, {"per_page": 3}):
        assert ask(target, demo, **query).status_code == 400


@old
def test_filters_of_the_list(target: Target, demo: Sample, unique: str) -> None:
    runs, world = demo.runs, target.world
    assert numbers(ask(target, demo, workflow_id="ci.yml")) == [4, 2, 1]
    assert ask(target, demo, workflow_id="ci.yml").json()["workflow_runs"][0]["workflow_id"] == "ci.yml"
    assert numbers(ask(target, demo, status="failure")) == [2]
    assert numbers(ask(target, demo, branch="main", status="success")) == [3, 1]
    assert numbers(ask(target, demo, head_sha=runs["green"].sha[:9])) == [1]
    assert numbers(ask(target, demo, actor=runs["green"].actor.name, limit=2)) == [4, 3]
    assert ask(target, demo, branch="main", limit=1).json()["total_count"] == 3
    assert ask(target, demo, branch="none").json() == {"total_count": 0, "workflow_runs": []}
    run = world.run(demo.repo, workflow_id="nightly.yml", event="schedule", jobs=[JobSpec("bad"), JobSpec("slow")])
    world.play(run.jobs[0], "failure", [["x"]])
    world.pick(run.jobs[1])
    assert numbers(ask(target, demo, status="completed")) == [4, 3, 2, 1]
    (half,) = ask(target, demo, workflow_id="nightly.yml").json()["workflow_runs"]
    assert (half["done"], half["conclusion"]) == (False, None)
    by_event = ask(target, demo, event="schedule")
    if target.version == "v7":
        assert by_event.status_code == 400 and "before v9" in by_event.json()["message"]
    else:
        assert numbers(by_event) == [run.index]
        assert by_event.json()["workflow_runs"][0]["event"] == "schedule"


@old
def test_a_list_longer_than_what_is_looked_through(target: Target, demo: Sample) -> None:
    for _ in range(300):
        target.world.run(demo.repo, branch="busy")
    told = ask(target, demo, limit=5).json()
    assert told["total_count"] == 304
    assert ask(target, demo, branch="busy").json()["total_count"] is None
    assert numbers(ask(target, demo, branch="busy", limit=2, page=3)) == [300, 299]


def test_who_may_see_the_list(target: Target, demo: Sample) -> None:
    target.double.forget_requests()
    assert target.request("GET", demo.base, demo.stranger).status_code == 404
    assert target.request("GET", demo.base).status_code == 404
    assert target.request("GET", demo.base, "f" * 40).status_code == 401
    assert [seen for seen in target.double.requests_by_session() if demo.repo.full_name in seen.path] == []


@old
def test_an_empty_list(target: Target, unique: str) -> None:
    repo = target.world.repo(f"nothing-{unique}/demo")
    answer = target.request(
        "GET", f"/api/v1/repos/{repo.full_name}/actions/runs", target.world.token(repo.owner, "all")
    )
    assert answer.json() == {"total_count": 0, "workflow_runs": []}


def test_an_upgrade_gives_the_list_back_to_forgejo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgejo is looked at each minute, and what is learnt is told at once."""
    monkeypatch.setattr(upstream, "CHECK_EVERY", 0.05)
    told: queue.Queue[bool | None] = queue.Queue()
    with Double(version="v11") as double:
        forgejo = Upstream(Transport(double.url, 5, 1))
        forgejo.check()
        assert (forgejo.lists_runs, forgejo.newest_first, forgejo.major) == (False, False, 11)
        forgejo.keep_checking(lambda: told.put(forgejo.lists_runs))
        double.version = "v13"
        assert told.get(timeout=20) is True and not forgejo.newest_first
        double.version = "v15"
        deadline = time.monotonic() + 20
        while not forgejo.newest_first:
            assert time.monotonic() < deadline, "the upgrade was not seen"
            time.sleep(0.02)
        assert set(told.queue) <= {True}


def test_the_proxy_hears_what_the_application_learns() -> None:
    lines = [{"port": 1, "lists_runs": False}, {"lists_runs": True}, {"something": "else"}]
    script = f"import sys\nfor line in {[json.dumps(line) for line in lines]}:\n    input(); print(line, flush=True)\ninput()"

    async def heard() -> list[bool | None]:
        supervisor = Supervisor(Settings("http://127.0.0.1:1"), (sys.executable, "-c", script))
        seen: list[bool | None] = [supervisor.lists_runs]
        await supervisor.start()
        process = supervisor._process
        assert process is not None and process.stdin is not None and supervisor.address == ("127.0.0.1", 1)
        for _ in range(2):
            seen.append(supervisor.lists_runs)
            process.stdin.write(b"go on\n")
            await soon(lambda: supervisor.lists_runs)
        seen.append(supervisor.lists_runs)
        await supervisor.stop()
        return seen

    assert asyncio.run(heard()) == [None, False, True, True]


@pytest.mark.parametrize("version", ["v11", "v15"])
def test_a_forgejo_that_tells_strangers_nothing(version: str) -> None:
    """Nobody knows at first whose the list is. Before Forgejo 12, passing it on would be a `404 page not found`."""
    with Double(version=version) as double:
        double.settings.REQUIRE_SIGNIN_VIEW, double.settings.pages_tell_version = True, False
        demo, admin = sample(double.world, "closed"), double.world.admin
        with start_proxy(double.url, (admin.name, admin.password)) as proxy:
            headers = {"Authorization": f"token {demo.reader}"}
            first = requests.get(proxy.url + demo.base, headers=headers, timeout=20)
            if version == "v11":
                assert first.status_code == 200 and "X-Actions-Extension" in first.headers
                return
            assert first.status_code == 503 and first.headers["Retry-After"] == "1"
            eventually(lambda: "X-Actions-Extension" not in requests.get(proxy.url + demo.base, timeout=20).headers)
            assert requests.get(proxy.url + demo.base, headers=headers, timeout=20).status_code == 200


@old
def test_what_forgejos_own_list_takes(target: Target, demo: Sample) -> None:
    busy = target.world.run(demo.repo, workflow_id="busy.yml", jobs=[JobSpec("slow")])
    target.world.pick(busy.jobs[0])
    assert numbers(ask(target, demo, run_number=2)) == [2] and numbers(ask(target, demo, run_number=99)) == []
    assert numbers(ask(target, demo, run_number=2, status="success")) == []
    assert numbers(ask(target, demo, run_number=2, status=["failure", "running"])) == [2]
    assert numbers(ask(target, demo, status=["failure", "running"])) == [5, 2]
    assert numbers(ask(target, demo, status=["failure", "running"], limit=1, page=2)) == [2]
    assert numbers(ask(target, demo, status=["completed"], workflow_id="ci.yml")) == [4, 2, 1]
    assert numbers(ask(target, demo, ref="refs/heads/feature/x")) == [4]
    assert numbers(ask(target, demo, ref="refs/tags/v1")) == []
    assert "ref takes refs/heads/NAME" in ask(target, demo, ref="main").json()["message"]
    assert ask(target, demo, ref="refs/heads/main", branch="main").status_code == 400
    assert ask(target, demo, branch=["main", "other"]).status_code == 400
    if target.number >= 9:
        assert numbers(ask(target, demo, event=["push", "schedule"])) == [5, 4, 3, 2, 1]
        assert numbers(ask(target, demo, event=["schedule", "release"])) == []


@old
def test_the_names_of_forgejos_fields(target: Target, demo: Sample) -> None:
    """Clients for Forgejo 12 and later read these."""
    (told,) = ask(target, demo, run_number=2).json()["workflow_runs"]
    run = demo.runs["failed"]
    assert (told["index_in_repo"], told["title"], told["commit_sha"]) == (2, run.title, run.sha)
    assert (told["prettyref"], told["trigger_user"]) == ("main", {"login": run.actor.name})
    assert told["html_url"].endswith("/actions/runs/2") and told["repository"] is None
    (row, *_) = ask(target, demo).json()["workflow_runs"]
    assert row["updated"] == row["updated_at"] and row["duration"] == int(row["duration_seconds"] * 1e9)


@old
def test_a_client_of_forgejos_api_reads_the_list(target: Target, demo: Sample) -> None:
    owner, _, name = demo.repo.full_name.partition("/")
    with pyfj.Forgejo(target.proxy.url, token=demo.reader) as client:
        listed = client.repos.actions.runs.list(
            owner, name, status=["failure", "running"], ref="refs/heads/main", limit=3
        )
        (run,) = listed.workflow_runs or []
        assert (run.index_in_repo, run.title, run.prettyref) == (2, demo.runs["failed"].title, "main")
        assert run.updated is not None
        (run,) = client.repos.actions.runs.list(owner, name, run_number=4).workflow_runs or []
        assert (run.index_in_repo, run.commit_sha) == (4, demo.runs["branch"].sha)


def test_the_list_that_is_the_same_on_every_version(target: Target, demo: Sample) -> None:
    path = f"{demo.base}/by-number"
    answer = target.request("GET", path, demo.reader)
    assert numbers(answer) == [4, 3, 2, 1] and answer.headers["X-Total-Count"] == "4"
    assert all(set(run) == RUN_FIELDS for run in answer.json()["workflow_runs"])
    assert numbers(target.request("GET", f"{path}?status=failure&status=running", demo.reader)) == [2]
    assert numbers(target.request("GET", f"{path}?branch=feature/x", demo.reader)) == [4]
    page = target.request("GET", f"{path}?limit=3&page=2", demo.reader)
    assert numbers(page) == [1] and page.links["prev"]["url"] == f"{target.proxy.url}{path}?limit=3&page=1"
    assert target.request("GET", path, demo.stranger).status_code == 404
    assert target.request("POST", path, demo.owner).status_code == 405
