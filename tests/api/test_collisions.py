"""Paths that Forgejo has itself since v16, where {x} is a database id: who answers, and what is said of a wrong number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.conftest import Target
from tests.double import Double
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, play, sample

FIRST_ID = 1000


@dataclass
class Native:
    """A v16 whose own routes stay in force behind the proxy; its database ids are far from its run numbers."""

    double: Double
    proxy: Proxy
    demo: Sample

    def ask(self, path: str, url: str = "", method: str = "GET") -> requests.Response:
        headers = {"Authorization": f"token {self.demo.owner}"}
        return requests.request(method, (url or self.proxy.url) + path, headers=headers, timeout=20)


@pytest.fixture(scope="module")
def native() -> Iterator[Native]:
    with Double(version="v16") as double:
        double.world.next_id["run"] = FIRST_ID
        demo, admin = sample(double.world, "native"), double.world.admin
        double.world.artifact(demo.runs["green"], "dist", b"zip bytes")
        options = {"actions_collisions": "native"}
        with start_proxy(double.url, (admin.name, admin.password), options) as proxy:
            yield Native(double, proxy, demo)


@pytest.mark.parametrize(
    "tail",
    [
        "1000/jobs", "1000/logs", "1001/jobs?page=1", "1000/artifacts", "1000", "?limit=2", "1/jobs", "1/logs", "7777/jobs",
        "0/jobs", "x/logs", "1000/jobs/0", "1000/jobs/build", "//1000//jobs",
    ],
)  # fmt: skip
def test_native_answers_pass_byte_for_byte(native: Native, tail: str) -> None:
    path = native.demo.base + (tail if tail.startswith("?") else f"/{tail}")
    passed, direct = native.ask(path), native.ask(path, native.double.url)
    assert (passed.status_code, passed.content) == (direct.status_code, direct.content)
    volatile = {"date", "connection"}
    told, meant = (
        {n.lower(): v for n, v in each.headers.items() if n.lower() not in volatile} for each in (passed, direct)
    )
    assert told == meant
    assert "x-actions-extension" not in told


def test_the_alias_is_the_extensions_in_native_too(native: Native) -> None:
    base = native.demo.base
    native.double.forget_requests()
    jobs = native.ask(f"{base}/by-number/1/jobs")
    assert jobs.json()["jobs"][0]["run_id"] == FIRST_ID and "X-Actions-Extension" in jobs.headers
    assert native.ask(f"{base}/by-number/1").json()["id"] == FIRST_ID
    assert native.ask(f"{base}/by-number/1/logs").content == native.demo.runs["green"].jobs[0].log_bytes()
    for tail in ("by-number/2/summary", "by-number/2/attempts", "by-number/2/jobs/test", "latest/jobs", "latest/logs"):
        assert "X-Actions-Extension" in native.ask(f"{base}/{tail}").headers, tail
    for tail in ("2/summary", "2/attempts"):  # not Forgejo's, so free
        assert native.ask(f"{base}/{tail}").status_code == 200, tail
    wrong = native.ask(f"{base}/by-number/{FIRST_ID}/jobs")
    assert wrong.status_code == 404 and "database id of run 1" in wrong.json()["message"]


def test_a_database_id_is_told_from_a_run_number(target: Target, demo: Sample) -> None:
    """Of the same repository: 404, and what to ask for instead, from v12 on, whose API tells."""
    world = target.world
    world.next_id["run"] = world.next_id.get("run", 1) + 5000
    run = world.run(demo.repo)
    for tail in ("jobs", "logs", "summary", "attempts", "jobs/0", ""):
        path = f"{demo.base}/{run.id}/{tail}" if tail else f"{demo.base}/by-number/{run.id}"
        answer = target.request("GET", path, demo.reader)
        message = answer.json()["message"]
        assert answer.status_code == 404 and f"no run {run.id}" in message
        told = (
            "takes the run number" in message and f"database id of run {run.index}; ask for runs/{run.index}" in message
        )
        assert told == (target.number >= 12), message
    rerun = target.request("POST", f"{demo.base}/{run.id}/rerun", demo.writer)
    assert rerun.status_code == 404 and ("database id" in rerun.json()["message"]) == (target.number >= 12)


def test_another_repositorys_id_says_nothing(target: Target, demo: Sample, unique: str) -> None:
    """The same words as for a number that nothing has."""
    world = target.world
    world.next_id["run"] = world.next_id.get("run", 1) + 5000
    other = world.run(world.repo(f"hidden-{unique}/secret"))
    for number in (other.id, 999_999_999):
        answer = target.request("GET", f"{demo.base}/{number}/jobs", demo.reader)
        assert (answer.status_code, answer.json()["message"]) == (404, f"no run {number}")
    target.double.forget_requests()
    assert target.request("GET", f"{demo.base}/{other.id}/jobs", demo.stranger).status_code == 404
    assert [seen for seen in target.double.requests_by_session() if demo.repo.full_name in seen.path] == []


def test_a_run_number_is_served_though_it_is_an_id_as_well(target: Target, demo: Sample) -> None:
    world = target.world
    world.next_id["run"] = 3_000_000 + demo.repo.next_index
    runs = [world.run(demo.repo) for _ in range(3)]
    demo.repo.next_index = runs[0].id
    named_alike = world.run(demo.repo, title="number like an id")
    told = target.request("GET", f"{demo.base}/by-number/{runs[0].id}", demo.reader).json()
    assert told["display_title"] == "number like an id" and told["run_number"] == named_alike.index


# From which version on Forgejo has the route itself: only there could a client mean an id.
AMBIGUOUS_SINCE = {"rerun": 17, "cancel": 16}


@pytest.mark.parametrize("target", ["v15", "v16", "v17"], indirect=True)
@pytest.mark.parametrize("action", AMBIGUOUS_SINCE)
def test_nothing_is_changed_by_a_number_that_is_another_runs_id(target: Target, demo: Sample, action: str) -> None:
    world = target.world
    world.next_id["run"] = world.next_id.get("run", 1) + 5000
    by_id = world.run(demo.repo)
    demo.repo.next_index = by_id.id
    by_number = world.run(demo.repo)
    if action == "rerun":
        for run in (by_id, by_number):
            play(world, run)
    before = [job.attempt for run in (by_id, by_number) for job in run.jobs]

    def changed(path: str) -> requests.Response:
        return target.request("POST", f"{demo.base}/{path}/{action}", demo.writer)

    answer = changed(str(by_id.id))
    if target.number < AMBIGUOUS_SINCE[action]:
        assert answer.status_code in (200, 201) and answer.json()["run_number"] == by_number.index
        return
    message = answer.json()["message"]
    assert answer.status_code == 409, message
    assert f"is the number of one run (id {by_number.id}) and the id of run {by_id.index}" in message
    for run in (by_id, by_number):
        assert f"runs/by-number/{run.index}/{action}" in message
    assert [job.attempt for run in (by_id, by_number) for job in run.jobs] == before
    assert [run.done for run in (by_id, by_number)] == [action == "rerun"] * 2
    assert changed(f"by-number/{by_number.index}").json()["run_number"] == by_number.index
    assert changed(str(by_id.index)).json()["run_number"] == by_id.index, "which is no id in this repository"


def test_a_read_says_number_and_id(target: Target, demo: Sample) -> None:
    """On v12 a log's page shows no id."""
    green = demo.runs["green"]
    for tail in ("jobs", "logs", "summary", "artifacts"):
        told = target.request("GET", f"{demo.base}/{green.index}/{tail}", demo.reader).headers["X-Actions-Run"]
        with_id = target.number >= 13 or (tail == "summary" and target.number >= 12)
        assert told == (f"{green.index}; id={green.id}" if with_id else str(green.index)), tail
