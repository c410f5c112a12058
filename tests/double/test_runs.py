"""The stand-in's traps in runs, jobs and logs, version by version: a kinder one would let wrong code pass."""

from __future__ import annotations

import re

from parsel import Selector

from tests.conftest import VERSIONS
from tests.double.case import Case, Web, only
from tests.double.model import Status


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
        assert attempts is None if case.number in (13, 14) else [each["number"] for each in attempts] == [2, 1]
    case.world.play(case.green.jobs[0], "failure", [["again"]])
    newest = case.web.get(f"{case.job(case.green, 0, 2)}/logs").content
    assert newest == case.green.jobs[0].log_bytes() != first
    if case.number >= 13:
        assert case.web.get(f"{case.job(case.green, 0, 1)}/logs").content == first


def test_a_failed_need_skips_and_status_is_each_versions(case: Case) -> None:
    case.world.play(case.waiting.jobs[0], "failure", [["x"]])
    run = case.view(case.waiting)["state"]["run"]
    assert [job["status"] for job in run["jobs"]] == ["failure", "skipped", "waiting"]
    assert run["status"] == ("waiting" if case.number in (7, 17) else "failure")
    assert run["done"] is (case.number in (11, 12))
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


@only("v7")
def test_an_upgrade(case: Case) -> None:
    for version in VERSIONS:
        case.double.version = version
        assert case.api("GET", "/version").json()["version"].startswith(version[1:])
        case.double.restart()
        web = Web(case.double)
        web.sign_in()
        assert web.get("/own/demo/actions/runs/1").status_code == (307 if int(version[1:]) >= 13 else 200)
