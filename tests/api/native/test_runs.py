"""Runs by id with a real client of Forgejo's API: jobs, the zip of logs, artifacts, cancel, rerun; and who may."""

from __future__ import annotations

import io
import zipfile

import pyfj
import pytest
import requests

from addon.api.about import openapi
from tests.api.native.conftest import ById, few_versions
from tests.double import JobSpec
from tests.double.faults import Fault
from tests.double.logs import BigLog
from tests.double.model import Status
from tests.support.sample import Sample


def owner_and_name(demo: Sample) -> tuple[str, str]:
    owner, _, name = demo.repo.full_name.partition("/")
    return owner, name


def test_the_proxy_describes_its_routes_by_run_id(by_id: ById) -> None:
    own = f"{by_id.proxy.url}/api/v1/actions-extensions"
    described = requests.get(f"{own}/openapi.json", timeout=20).json()
    assert described == openapi.document(300, "native")
    html = requests.get(f"{own}/docs", timeout=20).text
    assert all(path in html for path in described["paths"])


def test_the_answers_by_run_id_are_as_described(by_id: ById, native_demo: Sample) -> None:
    run, running = native_demo.runs["failed"], by_id.world.run(native_demo.repo, jobs=[JobSpec("running")])
    for name in ("report", "other"):
        by_id.world.artifact(run, name, b"PK\x05\x06" + bytes(18))
    base = f"{native_demo.repo.full_name}/actions/runs"
    for tail in ("jobs", "logs", "artifacts", "artifacts?limit=1&page=2"):
        assert by_id.ask("GET", f"{base}/{run.id}/{tail}", native_demo.reader).status_code == 200
    for tail in (f"{running.id}/cancel", f"{run.id}/cancel", f"{run.id}/rerun"):
        assert by_id.ask("POST", f"{base}/{tail}", native_demo.writer).status_code == 204
    assert by_id.ask("POST", f"{base}/{run.id}/rerun", native_demo.writer).status_code == 400  # it is waiting


def test_a_client_lists_the_jobs_of_each_run(by_id: ById, native_demo: Sample) -> None:
    owner, name = owner_and_name(native_demo)
    native_demo.repo.next_index = native_demo.runs["green"].id  # a run whose number is another run's id
    by_id.world.run(native_demo.repo, title="number like an id")
    with by_id.client(native_demo.reader) as client:
        for run in native_demo.runs.values():
            assert client.repos.actions.runs.get(owner, name, run.id).index_in_repo == run.index
            jobs = client.repos.actions.runs.jobs(owner, name, run.id)
            assert [(job.id, job.run_id, job.name, job.status) for job in jobs] == [
                (job.id, run.id, job.name, job.status.value) for job in run.jobs
            ]
            assert [job.task_id for job in jobs] == [job.task.id if job.task else 0 for job in run.jobs]
            assert {job.attempt for job in jobs} == ({0} if by_id.number == 12 else {1})
            assert by_id.ask("GET", f"{owner}/{name}/actions/jobs/{jobs[0].id}", native_demo.reader).json()["name"]


def test_a_client_reads_all_logs_of_a_run(by_id: ById, native_demo: Sample) -> None:
    owner, name = owner_and_name(native_demo)
    world, run = by_id.world, native_demo.runs["failed"]
    strange = world.run(
        native_demo.repo, jobs=[JobSpec(each) for each in ("a/b\\c", "\x01", "waits", "expired", "gone")]
    )
    for job in strange.jobs:
        if job.name != "waits":
            world.play(job, "success", [[f"log of {job.name}"]])
    world.expire_logs(strange.jobs[3])
    strange.jobs[4].task.log = None
    with by_id.client(native_demo.reader) as client:
        whole = zipfile.ZipFile(io.BytesIO(client.repos.actions.runs.logs(owner, name, run.id)))
        other = zipfile.ZipFile(io.BytesIO(client.repos.actions.runs.logs(owner, name, strange.id)))
    attempt = 0 if by_id.number == 12 else 1
    assert {each: whole.read(each) for each in whole.namelist() if each.endswith(".log")} == {
        f"{job.name}-{job.id}-attempt-{attempt}.log": job.log_bytes() for job in run.jobs if job.task
    }
    tails = [f"-{job.id}-attempt-{attempt}." for job in strange.jobs]
    assert other.namelist() == [
        f"abc{tails[0]}log", f"job{tails[1]}log", f"waits{tails[2]}MISSING", f"expired{tails[3]}MISSING", f"gone{tails[4]}MISSING",
    ]  # fmt: skip
    assert other.read(other.namelist()[2]) == b"job has not been executed yet\n"
    assert other.read(other.namelist()[3]) == b"logs have been cleaned up\n"
    answer = by_id.ask("GET", f"{owner}/{name}/actions/runs/{run.id}/logs", native_demo.reader)
    assert answer.headers["Content-Type"] == "application/zip"
    assert f'attachment; filename="run-{run.id}-logs.zip"' in answer.headers["Content-Disposition"]


@few_versions
def test_a_log_that_breaks_off_is_marked_in_the_zip(by_id: ById, native_demo: Sample) -> None:
    if by_id.number > 15:
        pytest.skip("Forgejo makes the zip")
    run, name = native_demo.runs["green"], native_demo.repo.full_name
    run.jobs[1].task.log = BigLog(8_000_000, run.jobs[1].task.clock)
    request = rf"GET /{name}/actions/runs/{run.index}/jobs/1/.*logs"
    by_id.double.faults += [Fault(request, "truncate"), Fault(request, "status", times=9, value=500)]
    answer = by_id.ask("GET", f"{name}/actions/runs/{run.id}/logs", native_demo.reader)
    found = zipfile.ZipFile(io.BytesIO(answer.content))
    names = [each for each in found.namelist() if f"-{run.jobs[1].id}-" in each]
    assert [each.rpartition(".")[2] for each in names] == ["log", "PARTIAL"], found.read(names[0])
    assert run.jobs[1].log_bytes().startswith(found.read(names[0])) and b"mid-stream" in found.read(names[1])
    assert len(found.namelist()) == len(run.jobs) + 1
    by_id.double.faults.clear()


def test_a_client_lists_artifacts(by_id: ById, native_demo: Sample) -> None:
    owner, name = owner_and_name(native_demo)
    run = native_demo.runs["green"]
    sizes = {f"dist-{number}": number + 3 for number in range(3)}
    for each, size in sizes.items():
        by_id.world.artifact(run, each, b"x" * size)
    with by_id.client(native_demo.reader) as client:
        found = list(client.repos.actions.runs.artifacts(owner, name, run.id, limit=2))
        assert {each.name: each.size_in_bytes for each in found} == sizes
        assert {(each.run_id, each.expired) for each in found} == {(run.id, False)}
        (one,) = client.repos.actions.runs.artifacts(owner, name, run.id, name="dist-1")
    if by_id.number < 16:
        assert one.id is None and one.archive_download_url
        path = one.archive_download_url.partition("/api/v1/repos/")[2]
        assert by_id.ask("GET", path, native_demo.reader).content == b"x" * 4
    empty = by_id.ask(
        "GET", f"{owner}/{name}/actions/runs/{native_demo.runs['deploy'].id}/artifacts", native_demo.reader
    )
    assert empty.json() == [] and empty.headers["X-Total-Count"] == "0"


def test_a_client_cancels_a_run_and_no_other(by_id: ById, native_demo: Sample) -> None:
    owner, name = owner_and_name(native_demo)
    first, second = (by_id.world.run(native_demo.repo) for _ in range(2))
    with by_id.client(native_demo.writer) as client:
        client.repos.actions.runs.cancel(owner, name, first.id)
        assert (first.status, second.status) == (Status.CANCELLED, Status.WAITING)
        client.repos.actions.runs.cancel(owner, name, first.id)  # nothing to do is no error
        with pytest.raises(pyfj.NotFoundError, match="run with id 7: resource does not exist"):
            client.repos.actions.runs.cancel(owner, name, 7)
    assert native_demo.runs["green"].status is Status.SUCCESS


def test_a_client_reruns_a_run_or_a_job(by_id: ById, native_demo: Sample) -> None:
    """The client has no method for it, as it is older than the route; its session sends the request."""
    owner, name = owner_and_name(native_demo)
    path = f"/repos/{owner}/{name}/actions"
    run, other = native_demo.runs["failed"], native_demo.runs["green"]
    job, done = run.jobs[1], [each.task for each in other.jobs]
    with by_id.client(native_demo.writer) as client:
        answer = client._request("POST", f"{path}/jobs/{job.id}/rerun")
        assert (answer.status_code, answer.content, "Content-Type" in answer.headers) == (204, b"", False)
        assert job.status is Status.WAITING and run.jobs[0].status is Status.SUCCESS
        with pytest.raises(pyfj.BadRequestError, match="job is still running"):
            client._request("POST", f"{path}/jobs/{job.id}/rerun")
        with pytest.raises(pyfj.BadRequestError, match="workflow is still running"):
            client._request("POST", f"{path}/runs/{run.id}/rerun")
        assert [each.status for each in run.jobs if each is not job] == [Status.SUCCESS] * 3
        by_id.world.play(job, "success", [["again"]])
        assert client._request("POST", f"{path}/runs/{run.id}/rerun").status_code == 204
        assert not any(each.status.done for each in run.jobs)
        assert [each.task for each in other.jobs] == done
        native_demo.repo.disabled_workflows.add("ci.yml")
        for tail in (f"runs/{other.id}", f"jobs/{other.jobs[0].id}"):
            with pytest.raises(pyfj.BadRequestError, match="workflow is disabled"):
                client._request("POST", f"{path}/{tail}/rerun")
        if by_id.number > 12:
            other.pre_execution_error = "broken"
            with pytest.raises(pyfj.BadRequestError, match="workflow is invalid"):
                client._request("POST", f"{path}/runs/{other.id}/rerun")
        for tail, message in (("runs/7", "run with id 7"), ("jobs/7", "run job with id 7")):
            with pytest.raises(pyfj.NotFoundError, match=f"{message}: resource does not exist"):
                client._request("POST", f"{path}/{tail}/rerun")
    assert [each.task for each in other.jobs] == done


@few_versions
@pytest.mark.parametrize("path", ["runs/{run}/jobs", "runs/{run}/logs", "runs/{run}/artifacts"])
def test_runs_that_are_not_there_are_all_alike(by_id: ById, native_demo: Sample, unique: str, path: str) -> None:
    other = by_id.world.run(by_id.world.repo(f"hidden-{unique}/secret"))
    by_id.double.forget_requests()
    for text, id in ((str(other.id), other.id), ("999999999", 999_999_999), ("1", 1), ("x", 0)):
        answer = by_id.ask("GET", f"{native_demo.repo.full_name}/actions/{path.format(run=text)}", native_demo.reader)
        message = f"run with id {id}: resource does not exist"
        assert (answer.status_code, answer.json()["message"]) == (404, message)
    assert by_id.double.requests_by_session() == []


@few_versions
def test_by_number_and_latest_mean_numbers_still(by_id: ById, native_demo: Sample) -> None:
    for tail in ("by-number/1/jobs", "latest/jobs", "by-number/2/logs"):
        answer = by_id.ask("GET", f"{native_demo.repo.full_name}/actions/runs/{tail}", native_demo.reader)
        assert answer.status_code == 200 and "X-Actions-Extension" in answer.headers
