"""Which run `latest` is, by filters, on every version; and that a run number must fit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.conftest import Target
from tests.double import Double, Fault, JobSpec
from tests.support.proxy import start_proxy
from tests.support.sample import Sample, sample

pytestmark = pytest.mark.more_versions

SCHEDULED_SHA = "5c4ed" * 8
MANY = 300


@dataclass
class Chosen:
    """A sample repository with more runs, and who asks."""

    target: Target
    demo: Sample
    numbers: dict[str, int]

    def latest(self, tail: str = "", **filters: str) -> Any:
        return self.target.request("GET", f"{self.demo.base}/latest{tail}", self.demo.reader, params=filters)

    def number(self, **filters: str) -> int:
        """That of the run that is selected."""
        answer = self.latest(**filters)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["run_number"])

    def none(self, **filters: str) -> str:
        """What is said when no run is selected; all filters are in it."""
        answer = self.latest(**filters)
        assert answer.status_code == 404, answer.text
        message = str(answer.json()["message"])
        assert all(f"{name}={value}" in message for name, value in filters.items()), message
        return message


@pytest.fixture
def chosen(target: Target, demo: Sample, unique: str) -> Chosen:
    world, numbers = target.world, {name: run.index for name, run in demo.runs.items()}

    def add(name: str, result: str = "success", **more: Any) -> None:
        run = world.run(demo.repo, title=name, jobs=[JobSpec("only")], **more)
        numbers[name] = run.index
        if result:
            world.play(run.jobs[0], result, [["x"]])

    helper = world.user(f"helper-{unique}")
    demo.repo.collaborators[helper] = "write"
    demo.repo.tags.add("v1.0")
    add("helped", actor=helper)
    add("opened", event="pull_request", branch="#12")
    add("synced", event="pull_request", hook_event="pull_request_sync", branch="#12")
    add("dispatched", event="workflow_dispatch")
    add("nightly", event="schedule", sha=SCHEDULED_SHA)
    add("enabled", event="schedule", hook_event="schedule", branch="develop")
    add("published", event="registry_package", hook_event="package", branch="develop")
    add("tagged", branch="v1.0", workflow_id="deploy.yml")
    add("cancelled", "cancelled", branch="stopped")
    add("waiting", "", branch="stopped")
    return Chosen(target, demo, numbers)


def test_one_filter(chosen: Chosen) -> None:
    numbers, runs = chosen.numbers, chosen.demo.runs
    assert chosen.number() == numbers["waiting"]
    assert chosen.number(branch="main") == numbers["nightly"]
    assert chosen.number(branch="feature/x") == numbers["branch"]
    assert chosen.number(branch="v1.0") == numbers["tagged"]
    assert chosen.number(branch="#12") == numbers["synced"]
    assert chosen.number(status="waiting") == numbers["waiting"]
    assert chosen.number(status="success") == numbers["tagged"]
    assert chosen.number(head_sha=runs["failed"].sha) == numbers["failed"]
    assert chosen.number(head_sha=runs["failed"].sha[:7].upper()) == numbers["failed"]
    assert chosen.number(actor=runs["green"].actor.name) == numbers["waiting"]
    assert chosen.number(workflow_id="deploy.yml") == numbers["tagged"]
    completed = chosen.number(status="completed")
    assert completed == numbers["cancelled"]


def test_the_actor_is_found_whatever_the_case(chosen: Chosen, unique: str) -> None:
    assert chosen.number(actor=f"HELPER-{unique}".replace("-W", "-w")) == chosen.numbers["helped"]
    chosen.none(actor="nobody-of-this-name")
    chosen.none(actor="../admin/users")


def test_a_token_that_may_not_look_for_people_finds_the_actor_among_the_runs(chosen: Chosen, unique: str) -> None:
    owner = chosen.demo.repo.owner
    token = chosen.target.world.token(owner, "read:repository")
    url = f"{chosen.demo.base}/latest?actor=helper-{unique}"
    assert chosen.target.request("GET", url, token).json()["run_number"] == chosen.numbers["helped"]


def test_filters_compose(chosen: Chosen) -> None:
    numbers, runs = chosen.numbers, chosen.demo.runs
    assert chosen.number(workflow_id="ci.yml", branch="main", status="failure") == numbers["failed"]
    assert chosen.number(head_sha=runs["green"].sha, workflow_id="ci.yml", status="completed") == numbers["green"]
    assert chosen.number(actor=runs["green"].actor.name, branch="feature/x") == numbers["branch"]
    chosen.none(head_sha=runs["green"].sha, workflow_id="deploy.yml")
    chosen.none(workflow_id="ci.yml", branch="nowhere", status="success")


def test_event(chosen: Chosen) -> None:
    """The workflow's word on every version that tells it, though the API filters by the webhook's."""
    if chosen.target.version == "v7":
        answer = chosen.latest(event="push")
        assert answer.status_code == 400 and "before v9" in answer.json()["message"]
        return
    numbers = chosen.numbers
    assert chosen.number(event="pull_request") == numbers["synced"]
    assert chosen.number(event="schedule") == numbers["enabled"]
    assert chosen.number(event="schedule", branch="main", workflow_id="ci.yml") == numbers["nightly"]
    assert chosen.number(event="workflow_dispatch") == numbers["dispatched"]
    assert chosen.number(event="registry_package") == numbers["published"]
    assert chosen.number(event="push", status="failure", workflow_id="ci.yml", branch="main") == numbers["failed"]
    assert chosen.latest(event="schedule").json()["event"] == "schedule"
    # Before v12 only tasks tell the event, and a run that waits has none.
    newest = numbers["cancelled"] if chosen.target.version == "v11" else numbers["waiting"]
    assert chosen.number(event="push") in (newest, numbers["tagged"])
    assert ("before v12" in chosen.none(event="release")) == (chosen.target.version == "v11")


def test_what_a_version_calls_a_cancelled_run(chosen: Chosen) -> None:
    if chosen.target.version == "v7":
        assert chosen.number(status="failure") == chosen.numbers["cancelled"]
        assert "calls a cancelled run failure" in chosen.none(status="cancelled")
    else:
        assert chosen.number(status="cancelled") == chosen.numbers["cancelled"]
        assert chosen.number(status="failure") == chosen.numbers["failed"]


def test_completed_is_more_than_a_final_status(chosen: Chosen) -> None:
    """From v11 on a run reads `failure` while other jobs of it still run."""
    world = chosen.target.world
    run = world.run(chosen.demo.repo, branch="half", jobs=[JobSpec("bad"), JobSpec("slow")])
    world.play(run.jobs[0], "failure", [["x"]])
    world.pick(run.jobs[1])
    chosen.none(branch="half", status="completed")
    assert chosen.number(status="completed") == chosen.numbers["cancelled"]
    world.finish(run.jobs[1], "success")
    assert chosen.number(branch="half", status="completed") == run.index


def test_every_action_takes_filters(chosen: Chosen) -> None:
    failed, demo = chosen.numbers["failed"], chosen.demo
    wanted = {"status": "failure", "branch": "main"}
    assert [job["run_number"] for job in chosen.latest("/jobs", **wanted).json()["jobs"]] == [failed] * 4
    assert chosen.latest("/summary", **wanted).json()["run"]["run_number"] == failed
    assert chosen.latest("/logs", job="1", **wanted).content == demo.runs["failed"].jobs[1].log_bytes()
    assert chosen.latest("/jobs/test", **wanted).json()["run_number"] == failed
    rerun = chosen.target.request("POST", f"{demo.base}/latest/rerun", demo.writer, params=wanted)
    assert (rerun.status_code, rerun.json()["run_number"]) == (201, failed)


def test_a_run_number_must_fit(chosen: Chosen) -> None:
    demo, numbers = chosen.demo, chosen.numbers

    def ask(name: str, **filters: str) -> Any:
        return chosen.target.request("GET", f"{demo.base}/by-number/{numbers[name]}", demo.reader, params=filters)

    sha, actor = demo.runs["green"].sha, demo.runs["green"].actor.name
    assert ask("green", branch="main", status="success", actor=actor, head_sha=sha[:10]).status_code == 200
    for name, value, said in (
        ("branch", "feature/x", "is of main"),
        ("status", "failure", "has status success"),
        ("actor", "nobody", actor),
        ("head_sha", "0123456", sha),
        ("workflow_id", "deploy.yml", "ci.yml"),
    ):
        answer = ask("green", **{name: value})
        assert answer.status_code == 404 and said in answer.json()["message"], answer.text
    assert "not completed but waiting" in ask("waiting", status="completed").json()["message"]
    if chosen.target.version == "v7":
        assert ask("nightly", event="schedule").status_code == 400
    else:
        assert ask("nightly", event="schedule").status_code == 200
        assert "triggered by schedule" in ask("nightly", event="push").json()["message"]


def test_the_newest_of_many(target: Target, demo: Sample) -> None:
    """More than fit on a page, and before v15 the API has them in no order."""
    world, sha = target.world, "ab" * 20
    for number in range(30):
        world.run(demo.repo, branch="busy", event="push", sha=sha, title=str(number))
    newest = world.run(demo.repo, branch="busy", sha=sha, title="newest")
    world.run(demo.repo, branch="idle")
    chosen = Chosen(target, demo, {})
    assert chosen.number(head_sha=sha) == chosen.number(branch="busy") == newest.index
    if target.number >= 12:
        assert chosen.number(event="push", branch="busy") == newest.index


@pytest.mark.parametrize("target", ["v13"], indirect=True)
def test_an_api_in_no_order_is_not_believed(chosen: Chosen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen.target.world, "scrambled", True)
    numbers, world, repo = chosen.numbers, chosen.target.world, chosen.demo.repo
    assert chosen.number(event="push") == numbers["waiting"]
    for _ in range(40):
        world.run(repo, branch="busy", event="push", workflow_id="busy.yml")
    newest = world.run(repo, branch="busy", event="push", workflow_id="busy.yml")
    assert chosen.number(event="push", workflow_id="busy.yml") == newest.index
    assert chosen.number(event="push", workflow_id="ci.yml", status="failure") == numbers["failed"]


def test_a_forgejo_that_tells_strangers_no_version() -> None:
    """Then its list is taken to be in no order."""
    with Double(version="v15") as double:
        double.settings.REQUIRE_SIGNIN_VIEW, double.settings.pages_tell_version = True, False
        demo, admin = sample(double.world, "closed"), double.world.admin
        for _ in range(MANY):
            double.world.run(demo.repo, branch="busy", workflow_id="busy.yml")
        with start_proxy(double.url, (admin.name, admin.password)) as proxy:
            for query, run in (
                (f"head_sha={demo.runs['green'].sha}", demo.runs["green"]),
                ("event=push&branch=busy", demo.repo.runs[-1]),
                ("workflow_id=ci.yml&branch=main", demo.runs["failed"]),
            ):
                headers = {"Authorization": f"token {demo.reader}"}
                told = requests.get(f"{proxy.url}{demo.base}/latest?{query}", headers=headers, timeout=20)
                assert told.status_code == 200 and told.json()["run_number"] == run.index, told.text


@pytest.mark.parametrize("query", ["workflow_id=ci.yml", "branch=feature%2Fx", "status=failure"])
def test_a_list_of_another_repository_is_not_believed(target: Target, demo: Sample, unique: str, query: str) -> None:
    other = sample(target.world, f"other-{unique}")
    names = (demo.repo.full_name, other.repo.full_name)
    fault = Fault(
        match=rf"^GET (/api/v1/repos)?/{demo.repo.full_name}/actions(/runs)?\?", kind="instead", value=names, times=99
    )
    target.double.faults.append(fault)
    try:
        answer = target.request("GET", f"{demo.base}/latest?{query}", demo.reader)
    finally:
        target.double.faults.remove(fault)
    if answer.status_code == 200:  # Forgejo's API gave a number; the run is this repository's, and fits
        assert answer.json()["html_url"].startswith(f"{target.proxy.url}/{demo.repo.full_name}/")
    else:
        assert answer.status_code in (404, 502), answer.text
    assert other.repo.full_name not in answer.text


def test_so_many_are_looked_through(target: Target, demo: Sample) -> None:
    world, sha = target.world, demo.runs["green"].sha
    for _ in range(MANY):
        world.run(demo.repo, workflow_id="busy.yml", branch="busy")
    chosen, filters = Chosen(target, demo, {}), {"head_sha": sha[:12]}
    target.double.forget_requests()
    assert "none of the newest 250 runs" in chosen.none(**filters)
    pages = [seen for seen in target.double.requests_by_session() if seen.path == f"/{demo.repo.full_name}/actions"]
    assert len(pages) == 5
    # What Forgejo itself can look for is found however old it is.
    assert chosen.number(workflow_id="deploy.yml") == demo.runs["deploy"].index
    assert chosen.number(status="failure") == demo.runs["failed"].index
    if target.number >= 12:
        assert chosen.number(head_sha=sha) == demo.runs["green"].index
        failed = {"event": "push", "status": "failure", "branch": "main"}
        assert chosen.number(**failed) == demo.runs["failed"].index
    if target.number >= 15:
        assert chosen.number(branch="feature/x") == demo.runs["branch"].index
    elif target.number >= 12:
        assert chosen.number(event="push", workflow_id="busy.yml") > MANY


@pytest.mark.parametrize("target", ["v13"], indirect=True)
def test_only_so_many_events_are_looked_up(target: Target, demo: Sample) -> None:
    """Forgejo 12 to 14 tells an event only run by run, where no runner has taken a job."""
    for _ in range(MANY):
        target.world.run(demo.repo, workflow_id="busy.yml", event="pull_request", branch="#1")
    chosen = Chosen(target, demo, {})
    target.double.forget_requests()
    said = chosen.none(event="pull_request_target")
    assert "none of the newest 50 runs" in said and "at most 50 runs" in said
    assert len(target.double.requests) < 75


def test_filters_tell_a_stranger_nothing(target: Target, demo: Sample) -> None:
    target.double.forget_requests()
    answers = set()
    for filters in ("", "?branch=main", "?branch=nowhere", "?event=push", "?actor=nobody", "?status=failure&wait=1"):
        answer = target.request("GET", f"{demo.base}/latest{filters}", demo.stranger)
        answers.add((answer.status_code, answer.text))
    assert len(answers) == 1 and answers.pop()[0] == 404
    assert [seen for seen in target.double.requests_by_session() if demo.repo.full_name in seen.path] == []


@pytest.mark.parametrize(
    "query",
    ["branch=", "status=failed", "head_sha=12345", "head_sha=xyzxyzxyz", "event=%00", "actor=", "branch=a&branch=b"],
)
def test_a_bad_filter_is_a_400(target: Target, demo: Sample, query: str) -> None:
    answer = target.request("GET", f"{demo.base}/latest?{query}", demo.reader)
    assert answer.status_code == 400 and query.partition("=")[0] in answer.json()["message"].replace("NUL", "event")
