"""Parts of a log, and several logs in one answer."""

from __future__ import annotations

import io
import re
import time
import zipfile

import pytest
import requests
from requests import Response

from tests.conftest import Target
from tests.double import Double, Fault, JobSpec
from tests.double.model import User
from tests.support.proxy import eventually, start_proxy
from tests.support.sample import Sample, number_in, sample

JOB_PAGE = re.compile(r"/[^/]+/[^/]+/actions/runs/[0-9]+/jobs/([0-9]+)")
COLOURS = re.compile(rb"\x1b\[[0-9;]*m")


def logs(target: Target, demo: Sample, query: str, run: int | str = 1, **kwargs: object) -> Response:
    return target.request("GET", f"{demo.base}/{run}/logs?{query}", demo.reader, **kwargs)


def bare(line: bytes) -> bytes:
    """A line without its time and colours."""
    return COLOURS.sub(b"", line.partition(b" ")[2])


@pytest.fixture
def build(demo: Sample) -> list[bytes]:
    """The lines of the job `build`: one of set-up, two of step 2, one of step 3."""
    whole = demo.runs["green"].jobs[0].log_bytes().splitlines(keepends=True)
    assert len(whole) == 4
    return list(whole)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 100000])
def test_tail(target: Target, demo: Sample, build: list[bytes], count: int) -> None:
    answer = logs(target, demo, f"tail={count}")
    assert answer.content == b"".join(build[-count:])
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Actions-Job"] == "0"


@pytest.mark.parametrize(("step", "lines"), [(1, slice(0, 1)), (2, slice(1, 3)), (3, slice(3, 4)), (4, slice(4, 4))])
def test_one_step(target: Target, demo: Sample, build: list[bytes], step: int, lines: slice) -> None:
    assert logs(target, demo, f"step={step}").content == b"".join(build[lines])
    assert logs(target, demo, f"step={step}&tail=1").content == b"".join(build[lines][-1:])


def test_a_step_that_is_not_there_is_a_404_that_lists_the_steps(target: Target, demo: Sample) -> None:
    answer = logs(target, demo, "step=9")
    assert answer.status_code == 404
    assert "1 (Set up job), 2 (compile), 3 (pack), 4 (Complete job)" in answer.json()["message"]


def test_without_times_and_colours(target: Target, demo: Sample, build: list[bytes]) -> None:
    assert logs(target, demo, "ansi=false").content == b"".join(COLOURS.sub(b"", line) for line in build)
    plain = b"".join(map(bare, build))
    assert logs(target, demo, "timestamps=false&ansi=false").content == plain
    assert logs(target, demo, "timestamps=false&ansi=false&step=2&tail=1").content == bare(build[2])


def test_all_jobs_as_text(target: Target, demo: Sample) -> None:
    jobs = demo.runs["failed"].jobs
    parts = [f"==> {job.name} ({job.index}) · {job.status} <==\n".encode() + job.log_bytes() for job in jobs]
    answer = logs(target, demo, "job=all", 2)
    assert answer.content == b"\n".join(parts)
    assert "X-Actions-Job" not in answer.headers
    assert number_in(answer) == 2


def test_failed_jobs_as_text(target: Target, demo: Sample) -> None:
    job = demo.runs["failed"].jobs[1]
    answer = logs(target, demo, "job=failed&tail=1&timestamps=false", 2)
    assert answer.content.splitlines(keepends=True) == [
        b"==> test (1) \xc2\xb7 failure <==\n",
        bare(job.log_bytes().splitlines(keepends=True)[-1]),
    ]


def test_no_failed_job_is_said(target: Target, demo: Sample) -> None:
    assert logs(target, demo, "job=failed", 1).text == "(no job of run 1 failed)\n"
    empty = logs(target, demo, "job=unsuccessful&format=zip", 1).content
    with zipfile.ZipFile(io.BytesIO(empty)) as archive:
        assert archive.read("no-logs.txt") == b"(no job of run 1 failed or was cancelled)\n"


@pytest.mark.parametrize("query", ["job=failed&failed_steps=true", "failed_steps=true"])
def test_only_the_steps_that_failed(target: Target, demo: Sample, query: str) -> None:
    """`test` has two steps and its set-up; the first failed, the second never ran."""
    job = demo.runs["failed"].jobs[1]
    [failed] = [step for step in job.task.steps if step.status == "failure"]
    lines = job.log_bytes().splitlines(keepends=True)[failed.log_index : failed.log_index + failed.log_length]
    assert lines
    assert logs(target, demo, query, 2).content.split(b"\n", 1)[1] == b"".join(lines)


def test_zip(target: Target, demo: Sample) -> None:
    run = demo.runs["failed"]
    answer = logs(target, demo, "", 2, headers={"Accept": "application/zip"})
    assert answer.headers["Content-Type"] == "application/zip"
    assert 'filename="demo-run-2-logs.zip"' in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["0-build.log", "1-test.log", "2-lint (mypy).log", "3-lint (ruff).log"]
        assert [archive.read(name) for name in archive.namelist()] == [job.log_bytes() for job in run.jobs]
        times = ["{}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*entry.date_time)[:18] for entry in archive.filelist]
        assert times == [job.log_bytes()[:18].decode() for job in run.jobs]  # a zip has even seconds
    one = logs(target, demo, "format=zip&job=test&tail=1", 2)
    with zipfile.ZipFile(io.BytesIO(one.content)) as archive:
        assert archive.namelist() == ["1-test.log"]
        assert archive.read("1-test.log") == run.jobs[1].log_bytes().splitlines(keepends=True)[-1]


def test_a_job_without_a_log_says_why_and_the_others_are_there(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec("../a/b:c"), JobSpec("waits"), JobSpec("gone")])
    target.world.play(run.jobs[0], "success", [["first"]])
    target.world.play(run.jobs[2], "success", [["third"]])
    target.world.expire_logs(run.jobs[2])
    text = logs(target, demo, "job=all", run.index).text
    heads = re.findall(r"^==> .* <==$", text, re.MULTILINE)
    assert heads == [
        "==> ../a/b:c (0) · success <==",
        "==> waits (1) · waiting <==",
        "==> gone (2) · success <==",
    ]
    assert "(job 1 (waits) is not started (waiting), so it has no log yet)\n" in text
    assert "(the log of job 2 (gone) has expired: Forgejo has deleted it)\n" in text
    with zipfile.ZipFile(io.BytesIO(logs(target, demo, "format=zip", run.index).content)) as archive:
        assert archive.namelist() == ["0-.._a_b_c.log", "1-waits.missing.txt", "2-gone.missing.txt"]
        assert archive.read("0-.._a_b_c.log") == run.jobs[0].log_bytes()
        assert b"is not started" in archive.read("1-waits.missing.txt")


@pytest.mark.parametrize("query", ["job=all", "job=all&follow=true", "job=0&follow=true"])
def test_no_log_can_imitate_the_line_before_a_log(target: Target, demo: Sample, query: str) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec("a"), JobSpec("b")])
    forged = "==> b (1) · success <=="
    target.world.play(run.jobs[0], "failure", [[forged, "said a", f"\x1b[0m{forged}"], [forged]])
    target.world.play(run.jobs[1], "failure", [["said b"]])
    text = logs(target, demo, f"{query}&timestamps=false&ansi=false", run.index).text
    assert forged not in text.splitlines() and text.splitlines().count(f" {forged}") == 3
    assert "==> a (0) · failure <==" in text.splitlines()


def test_attempts_of_several_jobs(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec("a"), JobSpec("b")])
    for job in run.jobs:
        target.world.play(job, "failure", [["once"]])
    rerun = target.request("POST", f"{demo.base}/{run.index}/rerun?job=1", demo.writer)
    assert rerun.status_code == 201
    target.world.play(run.jobs[1], "failure", [["again"]])
    newest = logs(target, demo, "job=all&timestamps=false", run.index).text
    assert newest.endswith("again\n")
    if target.number >= 13:
        assert "==> b (1) · failure · attempt 2 <==\nagain\n" in newest
        first = logs(target, demo, "job=all&attempt=2&timestamps=false", run.index).text
        assert first == (
            "==> a (0) · failure <==\n(job 'a' has no attempt 2; attempts: 1)\n\n"
            "==> b (1) · failure · attempt 2 <==\nagain\n"
        )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("tail=0", "tail takes a whole number from 1 to"),
        ("tail=-1", "tail takes a whole number from 1 to"),
        ("step=0", "step takes a whole number from 1 to"),
        ("ansi=no", "ansi takes true or false, not 'no'"),
        ("format=tar", "format takes text or zip, not 'tar'"),
        ("step=1&failed_steps=true", "step and failed_steps exclude each other"),
    ],
)
def test_wrong_parameters(target: Target, demo: Sample, query: str, message: str) -> None:
    answer = logs(target, demo, query)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_head_of_a_made_answer_has_its_headers_and_no_body(target: Target, demo: Sample) -> None:
    answer = target.request("HEAD", f"{demo.base}/2/logs?job=all", demo.reader)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Accept-Ranges"] == "none"


def test_the_tail_of_a_large_log_is_read_from_its_end(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec("big")])
    target.world.big_log(run.jobs[0], 64 << 20)
    target.double.forget_requests()
    answer = logs(target, demo, "tail=200", run.index)
    log = run.jobs[0].task.log
    end = b"".join(log.read(log.size - (1 << 20), log.size))
    assert answer.content == b"".join(end.splitlines(keepends=True)[-200:])
    asked = [seen.headers.get("Range") for seen in target.double.requests if seen.path.endswith("/logs")]
    assert asked
    assert all(wanted and wanted != "bytes=0-" for wanted in asked)


def test_a_client_that_leaves_ends_the_upstream_request(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec("endless")])
    target.world.big_log(run.jobs[0], 64 << 30)
    for query in ("", "ansi=false", "job=all"):
        with logs(target, demo, query, run.index, stream=True) as answer:
            assert answer.raw.read(100_000)
            assert any(path.endswith("/logs") for path in target.double.answering())
        eventually(lambda: not any(path.endswith("/logs") for path in target.double.answering()))


def test_no_more_pages_are_read_than_the_client_takes_logs(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec(f"job-{number}") for number in range(30)])
    target.world.big_log(run.jobs[0], 64 << 30)
    target.double.forget_requests()
    with logs(target, demo, "job=all", run.index, stream=True) as answer:
        assert answer.raw.read(100_000)
        jobs = {found[1] for seen in target.double.requests if (found := JOB_PAGE.match(seen.path))}
    assert len(jobs) < 10


def test_access_that_has_ended_ends_several_logs() -> None:
    """Also in a zip. What follows the log that was under way is not read."""
    with Double(version="v15") as double:
        demo, admin, world = sample(double.world, "ending"), double.world.admin, double.world
        run = world.run(demo.repo, jobs=[JobSpec("first"), JobSpec("secret"), JobSpec("other")])
        for job, text in zip(run.jobs, ("first", "the secret", "the secret"), strict=True):
            world.play(job, "success", [[text]])
        first = f"^GET /{demo.repo.full_name}/actions/runs/{run.index}/jobs/0/.*logs"
        with start_proxy(double.url, (admin.name, admin.password), {"actions_recheck": "1"}) as proxy:
            for form in ("", "&format=zip"):
                user = world.user(f"leaving{form[-3:]}")
                demo.repo.collaborators[user] = "read"

                def leave(user: User = user) -> None:
                    """Access ends while the first log is opened, and that takes longer than the pause of the checks."""
                    del demo.repo.collaborators[user]
                    time.sleep(1.1)

                double.faults.append(Fault(first, "call", 1, leave))
                headers = {"Authorization": f"token {world.token(user, 'all')}"}
                url = f"{proxy.url}{demo.base}/{run.index}/logs?job=all{form}"
                data = requests.get(url, headers=headers, timeout=60).content
                if form:
                    with zipfile.ZipFile(io.BytesIO(data)) as archive:
                        assert archive.namelist() == ["0-first.log", "1-secret.missing.txt"]
                        said = archive.read("1-secret.missing.txt")
                else:
                    said = data[-1000:]
                assert b"access has ended: no repository" in said and b"the secret" not in data
