"""Since v14 Forgejo replaces a matrix that it could not tell at first: a job is deleted, and later ones move up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.actions.following.follower import EVENTS, Reader, Stream, events
from tests.conftest import Target
from tests.double import Fault, JobSpec
from tests.support.proxy import eventually
from tests.support.sample import Sample

# On the newest version reruns go by id, to Forgejo's own route.
SINCE_14 = pytest.mark.parametrize("target", ["v14", "v15", "v17"], indirect=True)
JOBS = (JobSpec("matrix"), JobSpec("build", ["compile"]), JobSpec("lint", ["lint"]))


@pytest.fixture
def run(target: Target, demo: Sample) -> Any:
    """Its first job is a placeholder, its last one is done."""
    run = target.world.run(demo.repo, jobs=JOBS)
    target.world.play(run.jobs[2], "failure", [["set up lint"], ["lint line"]])
    return run


def replace(target: Target, run: Any) -> None:
    """Two jobs take the place of the placeholder, at the end."""
    target.world.replace(run.jobs[0], [JobSpec("matrix (a)"), JobSpec("matrix (b)")])


@SINCE_14
def test_a_rerun_is_checked_on_the_same_job(target: Target, demo: Sample, run: Any) -> None:
    lint, done = run.jobs[2], []

    def after_the_rerun() -> None:
        if not lint.status.done and not done:
            replace(target, run)
            done.append(True)

    page, api = (
        rf"/{demo.repo.full_name}/actions/runs/{run.index}/jobs/2",
        rf"/api/v1/repos/{demo.repo.full_name}/actions",
    )
    path = rf"^GET ({page}|{api}/runs)"
    target.double.faults.append(Fault(match=path, kind="call", times=99, value=after_the_rerun))
    try:
        answer = target.request("POST", f"{demo.base}/{run.index}/rerun?job=lint", demo.writer)
    finally:
        target.double.faults.clear()
    assert done and answer.status_code == 201, answer.text
    told = {job["name"]: (job["index"], job["previous_status"], job["asked"]) for job in answer.json()["jobs"]}
    assert told["lint"] == (1, "failure", True)
    assert told["matrix (a)"] == (2, None, False), "it was not there before"


@SINCE_14
def test_a_wait_is_for_the_same_job(target: Target, demo: Sample, run: Any) -> None:
    build = run.jobs[1]
    target.world.pick(build)
    path = f"{demo.base}/{run.index}/jobs/1?wait=20"
    target.double.forget_requests()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(target.request, "GET", path, demo.reader)
        eventually(lambda: sum(f"/runs/{run.index}/" in each.path for each in list(target.double.requests)) > 3)
        replace(target, run)  # now lint has the index 1, and it is done
        seen = len(target.double.requests)
        eventually(lambda: len(target.double.requests) > seen + 2)
        target.world.play(build, "success", [["x"]])
        told = answer.result(30).json()
    assert (told["name"], told["index"], told["status"]) == ("build", 0, "success")


@SINCE_14
def test_all_jobs_are_followed_once(target: Target, demo: Sample, run: Any) -> None:
    build = run.jobs[1]
    target.world.pick(build)
    target.world.log(build, "first line")
    reader = Reader(Stream(target, f"{demo.base}/{run.index}/logs?job=all&follow=true", demo.reader, EVENTS))
    reader.until(b"first line")
    replace(target, run)
    target.world.log(build, "second line")
    reader.until(b"second line")
    for job in run.jobs:
        if not job.status.done:
            target.world.play(job, "success", [[f"set up {job.name}"], [f"end of {job.name}"]])
    reader.whole()
    lines = [value["text"].partition(" ")[2] for name, value, _ in events(reader.data) if name == "line"]
    for text in ("lint line", "first line", "second line", "end of build", "end of matrix (a)", "end of matrix (b)"):
        assert lines.count(text) == 1, (text, lines)
