"""Rerun: it happened, or a 409 says why not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Target
from tests.double import Fault, JobSpec
from tests.double.rerun import rerun
from tests.support.sample import Sample

pytestmark = pytest.mark.more_versions

LIKE_A_NEED = [JobSpec("deploy", needs=["build"]), JobSpec("build"), JobSpec("lint")]
MATRIX = [JobSpec("build"), JobSpec("test (a)", needs=["build"]), JobSpec("test (b)", needs=["build"]), JobSpec("lint")]


def finished(target: Target, demo: Sample, jobs: list[JobSpec], **results: str) -> Any:
    """A run whose jobs ended so, by index (`j0`, `j1`); the rest never ran: they are skipped."""
    run = target.world.run(demo.repo, title="mixed", jobs=jobs)
    for job in run.jobs:
        result = results.get(f"j{job.index}")
        if result is None:
            target.world.finish(job, "skipped")
        else:
            target.world.play(job, result, [[f"{job.name} ran"]])
    return run


def states(run: Any) -> list[str]:
    return [str(job.status) for job in run.jobs]


def posts(target: Target, demo: Sample) -> list[str]:
    """What Forgejo was asked to do here, in order, in the paths of its pages. Since v17 the caller asks himself."""
    paths = {f"/{demo.repo.full_name}/actions/{path_of(job.run, job)}": path_of(job.run, job) for job in jobs_of(demo)}
    paths |= {f"/{demo.repo.full_name}/actions/{path_of(run)}": path_of(run) for run in demo.repo.runs}
    if target.number >= 17:
        api = f"/api/v1/repos/{demo.repo.full_name}/actions"
        paths = {f"{api}/jobs/{job.id}/rerun": path_of(job.run, job) for job in jobs_of(demo)}
        paths |= {f"{api}/runs/{run.id}/rerun": path_of(run) for run in demo.repo.runs}
    return [paths[each.path] for each in list(target.double.requests) if each.method == "POST" and each.path in paths]


def path_of(run: Any, job: Any = None) -> str:
    return f"runs/{run.index}/rerun" if job is None else f"runs/{run.index}/jobs/{job.index}/rerun"


def jobs_of(demo: Sample) -> list[Any]:
    return [job for run in demo.repo.runs for job in run.jobs]


def fail(target: Target, demo: Sample, run: Any, job: Any = None, **fault: Any) -> None:
    """Plants a fault for the next rerun of a run or a job."""
    if target.number >= 17:
        path = f"/api/v1/repos/{demo.repo.full_name}/actions/" + (f"jobs/{job.id}" if job else f"runs/{run.id}")
    else:
        path = f"/{demo.repo.full_name}/actions/{path_of(run, job)}".removesuffix("/rerun")
    target.double.faults.append(Fault(match=rf"^POST {path}/rerun", **fault))


def test_a_whole_run(target: Target, demo: Sample) -> None:
    answer = target.request("POST", f"{demo.base}/latest/rerun", demo.writer)
    assert answer.status_code == 201, answer.text
    rerun = answer.json()
    assert rerun["run_number"] == 4 and rerun["done"] is False and rerun["job"] is None
    assert [job["index"] for job in rerun["jobs"]] == [0, 1, 2, 3]
    assert answer.headers["Location"] == f"{target.proxy.url}{demo.base}/by-number/4"
    assert not any(job.status.done for job in demo.runs["branch"].jobs)


@pytest.mark.parametrize("job", ["1", "test"])
def test_one_job(target: Target, demo: Sample, job: str) -> None:
    answer = target.request("POST", f"{demo.base}/2/rerun", demo.writer, params={"job": job})
    assert answer.status_code == 201, answer.text
    assert [each["name"] for each in answer.json()["jobs"]] == ["test"]
    assert answer.json()["job"] == 1


def test_a_running_run_is_refused(target: Target, demo: Sample) -> None:
    """Versions before 15 answer 200 and do nothing."""
    run = target.world.run(demo.repo, workflow_id="ci.yml", title="busy", jobs=[JobSpec("slow")])
    target.world.pick(run.jobs[0])
    for query in ("", "?job=0"):
        answer = target.request("POST", f"{demo.base}/latest/rerun{query}", demo.writer)
        assert answer.status_code == 409 and "not done" in answer.json()["message"]


def test_a_missing_run_or_job(target: Target, demo: Sample) -> None:
    assert target.request("POST", f"{demo.base}/999/rerun", demo.writer).status_code == 404
    assert target.request("POST", f"{demo.base}/1/rerun?job=9", demo.writer).status_code == 404


def test_a_yes_without_an_effect_is_a_conflict(target: Target, demo: Sample) -> None:
    if target.number >= 17:
        fail(target, demo, demo.runs["green"], kind="status", value=204)
    else:
        fail(target, demo, demo.runs["green"], kind="json", value={})
    answer = target.request("POST", f"{demo.base}/1/rerun", demo.writer)
    assert answer.status_code == 409 and "nothing was rerun" in answer.json()["message"]


def test_of_several_reruns_at_once_one_wins(target: Target, demo: Sample) -> None:
    """Before version 15, Forgejo answers 200 to all of them."""
    fault = Fault(match=rf"^POST .*{demo.repo.full_name}/actions/runs/.*rerun", kind="delay", value=0.3, times=99)
    target.double.faults.append(fault)
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(target.request, "POST", f"{demo.base}/1/rerun", demo.writer) for _ in range(5)]
        statuses = sorted(each.result().status_code for each in asked)
    target.double.faults.remove(fault)
    assert statuses == [201] + [409] * 4
    assert [len(job.tasks) for job in demo.runs["green"].jobs] == [1] * len(demo.runs["green"].jobs)


def test_a_failure_because_another_rerun_came_first(target: Target, demo: Sample) -> None:
    class Raced:
        """The status of the answer, which is made after somebody else's rerun."""

        def __str__(self) -> str:
            rerun(target.world, demo.runs["green"], None)
            return "500"

    match = rf"^POST .*{demo.repo.full_name}/actions/runs/.*rerun"
    target.double.faults.append(Fault(match=match, kind="status", value=Raced()))
    answer = target.request("POST", f"{demo.base}/1/rerun", demo.writer)
    assert answer.status_code == 409 and "rerun meanwhile" in answer.json()["message"], answer.text


def test_reading_is_not_enough(target: Target, demo: Sample) -> None:
    target.double.forget_requests()
    for token in (demo.reader, demo.stranger, None, target.world.token(demo.repo.owner, "read:repository")):
        answer = target.request("POST", f"{demo.base}/1/rerun", token)
        assert answer.status_code in (401, 403, 404), answer.text
    mine = [seen for seen in target.double.requests_by_session() if demo.repo.full_name in seen.path]
    assert mine == []
    assert all(job.status.done for job in demo.runs["green"].jobs)


@pytest.mark.parametrize("change", ["4/rerun", "4/cancel", "latest/rerun?dry_run=true"])
def test_a_page_of_another_site_changes_nothing(target: Target, demo: Sample, change: str) -> None:
    """A browser sends along basic credentials that it keeps; and it says where a request comes from."""
    target.double.forget_requests()
    headers = {"Sec-Fetch-Site": "cross-site"}
    refused = target.request("POST", f"{demo.base}/{change}", demo.writer, headers=headers)
    assert refused.status_code == 403 and "another site" in refused.json()["message"]
    assert target.double.requests == []
    for site in ("same-origin", "none"):
        dry = f"{demo.base}/4/rerun?dry_run=true"
        assert target.request("POST", dry, demo.writer, headers={"Sec-Fetch-Site": site}).status_code == 200
    assert target.request("GET", f"{demo.base}/latest", demo.reader, headers=headers).status_code == 200


def test_an_archived_repository(target: Target, demo: Sample) -> None:
    demo.repo.archived = True
    answer = target.request("POST", f"{demo.base}/1/rerun", demo.writer)
    assert answer.status_code == 409 and "archived" in answer.json()["message"]
    assert all(job.status.done for job in demo.runs["green"].jobs)


def test_the_answer_names_the_new_attempt_and_where_to_watch(target: Target, demo: Sample) -> None:
    answer = target.request("POST", f"{demo.base}/2/rerun?job=test", demo.writer)
    (job,) = answer.json()["jobs"]
    attempt = 2 if target.number >= 13 else None
    assert (answer.json()["attempt"], job["attempt"]) == (attempt, attempt)
    assert (job["previous_status"], job["status"], job["asked"]) == ("failure", "waiting", True)
    assert answer.headers["Location"] == answer.json()["watch_url"]
    path = answer.headers["Location"].removeprefix(target.proxy.url)
    watched = target.request("GET", path, demo.reader)
    assert watched.status_code == 200 and watched.json()["done"] is False
    target.world.play(demo.runs["failed"].jobs[1])
    assert target.request("GET", path, demo.reader).json()["done"] is True


def test_failed_jobs_only(target: Target, demo: Sample) -> None:
    """Both failed ones, each once, and what Forgejo sets in motion with them; nothing else."""
    run = finished(target, demo, MATRIX, j0="failure", j3="failure")
    target.double.forget_requests()
    answer = target.request("POST", f"{demo.base}/{run.index}/rerun?job=failed", demo.writer).json()
    assert states(run) == ["waiting", "blocked", "skipped", "waiting"]
    assert [(job["index"], job["asked"]) for job in answer["jobs"]] == [(0, True), (1, False), (3, True)]
    assert posts(target, demo) == [f"runs/{run.index}/jobs/{index}/rerun" for index in (0, 3)]
    assert answer["job"] == "failed" and answer["refused_jobs"] == []
    # Forgejo forgets all but the first of a matrix that needs a job: the answer says who stays behind.
    assert [job["name"] for job in answer["skipped_jobs"]] == ["test (b)"]


def test_failed_jobs_in_the_order_of_their_needs(target: Target, demo: Sample) -> None:
    """A failed job that needs another failed one waits for it, though the workflow lists it first."""
    run = finished(target, demo, LIKE_A_NEED, j0="failure", j1="failure", j2="success")
    run.jobs[1].task.started -= 60
    target.double.forget_requests()
    answer = target.request("POST", f"{demo.base}/{run.index}/rerun?job=failed", demo.writer)
    assert answer.status_code == 201, answer.text
    assert states(run) == ["blocked", "waiting", "success"]
    assert posts(target, demo) == [f"runs/{run.index}/jobs/1/rerun"]


def test_the_order_is_found_without_logs(target: Target, demo: Sample) -> None:
    """Which expire since v9."""
    run = finished(target, demo, LIKE_A_NEED, j0="failure", j1="failure", j2="success")
    run.jobs[1].task.started -= 60
    for job in run.jobs if target.number >= 9 else ():
        target.world.expire_logs(job)
    assert target.request("POST", f"{demo.base}/{run.index}/rerun?job=failed", demo.writer).status_code == 201
    assert states(run) == ["blocked", "waiting", "success"]


def test_all_failed_is_the_whole_run(target: Target, demo: Sample) -> None:
    run = finished(target, demo, LIKE_A_NEED, j0="failure", j1="failure", j2="failure")
    target.double.forget_requests()
    answer = target.request("POST", f"{demo.base}/{run.index}/rerun?job=failed", demo.writer)
    assert answer.status_code == 201 and states(run) == ["blocked", "waiting", "waiting"]
    assert posts(target, demo) == [f"runs/{run.index}/rerun"]
    target.world.play(run.jobs[1])
    for job in (run.jobs[0], run.jobs[2]):
        target.world.play(job)
    again = target.request("POST", f"{demo.base}/{run.index}/rerun?job=all", demo.writer)
    assert again.status_code == 201 and again.json()["job"] is None and len(again.json()["jobs"]) == 3


def test_failed_when_there_is_nothing_to_do(target: Target, demo: Sample) -> None:
    green = target.request("POST", f"{demo.base}/1/rerun?job=failed", demo.writer)
    assert green.status_code == 409 and "no job of run 1 failed" in green.json()["message"]
    cancelled = finished(target, demo, [JobSpec("a"), JobSpec("b")], j0="success", j1="cancelled")
    answer = target.request("POST", f"{demo.base}/{cancelled.index}/rerun?job=failed", demo.writer)
    assert answer.status_code == 409 and "cancelled: 1 (b)" in answer.json()["message"]
    busy = target.world.run(demo.repo, jobs=[JobSpec("a"), JobSpec("b")])
    target.world.play(busy.jobs[0], "failure")
    target.world.pick(busy.jobs[1])
    answer = target.request("POST", f"{demo.base}/{busy.index}/rerun?job=failed", demo.writer)
    assert answer.status_code == 409 and "not done" in answer.json()["message"]
    assert states(busy) == ["failure", "running"]


def test_a_refusal_half_way_is_told(target: Target, demo: Sample) -> None:
    run = finished(target, demo, MATRIX, j0="failure", j3="failure")
    fail(target, demo, run, run.jobs[3], kind="status", value=500)
    answer = target.request("POST", f"{demo.base}/{run.index}/rerun?job=failed", demo.writer)
    assert answer.status_code == 201 and states(run)[0] == "waiting" and states(run)[3] == "failure"
    (refused,) = answer.json()["refused_jobs"]
    assert refused["index"] == 3 and "500" in refused["message"]
    first = finished(target, demo, MATRIX, j0="failure", j3="failure")
    fail(target, demo, first, first.jobs[0], kind="status", value=500)
    assert target.request("POST", f"{demo.base}/{first.index}/rerun?job=failed", demo.writer).status_code == 502


@pytest.mark.parametrize("query", ["", "?job=failed", "?job=1"])
def test_a_dry_run_changes_nothing(target: Target, demo: Sample, query: str) -> None:
    target.world.artifact(demo.runs["failed"], "report", b"zip")
    target.double.forget_requests()
    path = f"{demo.base}/2/rerun{query}{'&' if query else '?'}dry_run=true"
    answer = target.request("POST", path, demo.writer)
    assert answer.status_code == 200 and "Location" not in answer.headers, answer.text
    told = answer.json()
    assert told["dry_run"] is True and told["done"] is True
    assert [job["index"] for job in told["jobs"]] == ([0, 1, 2, 3] if not query else [1])
    assert [each["name"] for each in told["artifacts_deleted"]] == (["report"] if target.number >= 15 else [])
    assert posts(target, demo) == [] and states(demo.runs["failed"])[1] == "failure"
    for refused in (demo.reader, demo.stranger):
        assert target.request("POST", path, refused).status_code in (403, 404)
    real = target.request("POST", path.replace("dry_run=true", "dry_run=false"), demo.writer).json()
    assert set(real) == set(told) and real["artifacts_deleted"] == told["artifacts_deleted"]
    assert target.request("POST", path, demo.writer).status_code == 409  # the same checks: now it runs


def test_artifacts_that_a_rerun_deletes(target: Target, demo: Sample) -> None:
    """From v15 on Forgejo deletes them all, even for one job: said, and refused if that is wanted."""
    run = demo.runs["failed"]
    target.world.artifact(run, "report", b"zip")
    target.world.artifact(run, "old", b"zip").expired = True
    target.double.forget_requests()
    kept = target.request("POST", f"{demo.base}/2/rerun?job=1&keep_artifacts=required", demo.writer)
    if target.number >= 15:
        assert kept.status_code == 409 and "'report'" in kept.json()["message"] and "old" not in kept.json()["message"]
        assert posts(target, demo) == [] and len(run.artifacts) == 2
        told = target.request("POST", f"{demo.base}/2/rerun?job=1", demo.writer).json()
        assert [each["name"] for each in told["artifacts_deleted"]] == ["report", "old"] and run.artifacts == []
    else:
        assert kept.status_code == 201 and kept.json()["artifacts_deleted"] == [] and len(run.artifacts) == 2


def test_expired_artifacts_are_no_loss(target: Target, demo: Sample) -> None:
    target.world.artifact(demo.runs["failed"], "old", b"zip").expired = True
    assert target.request("POST", f"{demo.base}/2/rerun?keep_artifacts=required", demo.writer).status_code == 201


def test_words_that_a_rerun_does_not_take(target: Target, demo: Sample) -> None:
    for query in ("keep_artifacts=true", "dry_run=yes", "attempt=1", "job="):
        assert target.request("POST", f"{demo.base}/2/rerun?{query}", demo.writer).status_code == 400
