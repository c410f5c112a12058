"""Forgejo answers with something else: another run's page, another host's address, nothing, or without an end."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator

import pytest
import requests

from tests.conftest import Target
from tests.double import Double, Fault, JobSpec
from tests.forgejo.access_table import OWN_SINCE
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample
from tests.support.upstream import Upstream

STEPS = {
    "login form": r"^POST /user/login",
    "login follow-up": r"^GET /user/login",
    "newest": r"^GET /[^/]+/[^/]+/actions/runs/latest$",
    "run": r"/actions/runs/[0-9]+/jobs/[0-9]+$",
    "attempt": r"/attempt/[0-9]+$",
    "log": r"/logs$",
    "probe": r"^GET /api/v1/repos",
}


# A failed sign-in is waited out, so not all are tried on each version.
SIGN_INS = {("v7", "drop"), ("v7", "json"), ("v15", "html"), ("v15", "endless"), ("v15", "redirect"), ("v15", "status")}


def plant(target: Target, demo: Sample, kind: str, match: str, value: object = None) -> Fault:
    """A fault for this test's repository only: others use the same stand-in."""
    where = rf"^(?=.*/{demo.repo.full_name}/).*(?:{match.removeprefix('^')})"
    fault = Fault(match=where, kind=kind, value=value, times=99)
    target.double.faults.append(fault)
    return fault


@pytest.mark.parametrize("tail", ["logs", "jobs", "summary", "rerun", "cancel", "artifacts"])
def test_a_page_of_another_run(target: Target, demo: Sample, tail: str) -> None:
    method = "POST" if tail in ("rerun", "cancel") else "GET"
    fault = plant(target, demo, "instead", STEPS["run"] + "|" + STEPS["attempt"], ("/runs/1/", "/runs/2/"))
    try:
        answer = target.request(method, f"{demo.base}/1/{tail}", demo.writer)
    finally:
        target.double.faults.remove(fault)
    if target.number >= OWN_SINCE.get(tail, math.inf):  # Forgejo's own routes name the run by its id: no page is read
        assert answer.status_code in (201, 409)
        assert all(job.status.done for name, run in demo.runs.items() if name != "green" for job in run.jobs)
        return
    assert answer.status_code == 502 and "another run" in answer.json()["message"], answer.text
    assert all(job.status.done for run in demo.runs.values() for job in run.jobs)


@pytest.mark.parametrize("tail", ["logs", "jobs", "rerun", "cancel", "artifacts"])
def test_a_page_of_another_repository(target: Target, demo: Sample, unique: str, tail: str) -> None:
    other = sample(target.world, f"other-{unique}")
    names = (demo.repo.full_name, other.repo.full_name)
    fault = plant(target, demo, "instead", r".*/actions/", names)
    try:
        answer = target.request("POST" if tail in ("rerun", "cancel") else "GET", f"{demo.base}/1/{tail}", demo.writer)
    finally:
        target.double.faults.remove(fault)
    assert answer.status_code in (404, 502), answer.text
    assert other.repo.full_name not in answer.text
    assert all(job.status.done for job in other.runs["green"].jobs)


def test_a_page_of_another_job(target: Target, demo: Sample) -> None:
    """Its log would be taken for the asked one's."""
    fault = plant(target, demo, "instead", r".*/jobs/1", ("/jobs/1", "/jobs/2"))
    try:
        answer = target.request("GET", f"{demo.base}/1/logs?job=1", demo.reader)
    finally:
        target.double.faults.remove(fault)
    assert answer.status_code == 502 and "another job" in answer.json()["message"]


@pytest.mark.parametrize("step", ["newest", "run", "log", "probe"])
def test_a_redirect_to_another_host_takes_nothing_along(target: Target, demo: Sample, step: str) -> None:
    with Upstream() as elsewhere:
        path = (
            f"/api/v1/repos/{demo.repo.full_name}/actions/runs"
            if step == "probe"
            else f"/{demo.repo.full_name}/actions/runs/1"
        )
        fault = plant(target, demo, "redirect", STEPS[step], elsewhere.url + path)
        try:
            answer = target.request("GET", f"{demo.base}/latest/logs", demo.reader)
        finally:
            target.double.faults.remove(fault)
        assert answer.status_code in (200, 502), answer.text  # the path alone may be followed, on Forgejo itself
        assert elsewhere.requests == []


@pytest.fixture(scope="module", params=["v7", "v15"])
def stage(request: pytest.FixtureRequest) -> Iterator[tuple[Double, Proxy, Sample]]:
    """A stand-in and a proxy of one version, for faults that reach all of it."""
    with Double(version=request.param) as double:
        admin = double.world.admin
        with start_proxy(double.url, (admin.name, admin.password)) as proxy:
            yield double, proxy, sample(double.world, "steps")


@pytest.mark.parametrize("kind", ["drop", "truncate", "html", "json", "endless", "redirect", "status"])
def test_each_step_may_fail(stage: tuple[Double, Proxy, Sample], kind: str) -> None:
    """An error of the table at whatever step, signing in as well; and afterwards everything is as before."""
    double, proxy, demo = stage
    version = double.version
    value = {"json": {"a": 1}, "redirect": "http://evil.example/x", "status": 503}.get(kind)
    headers, url = {"Authorization": f"token {demo.reader}"}, f"{proxy.url}{demo.base}/latest/logs"
    for step, match in STEPS.items():
        if "login" in step and (version, kind) not in SIGN_INS:
            continue
        double.restart()
        double.faults.append(Fault(match=match, kind=kind, value=value, times=99))
        try:
            answer = requests.get(url, headers=headers, timeout=30)
        except requests.RequestException:
            assert (kind, step) == ("truncate", "log"), step  # half a log must not look whole
        else:
            assert answer.status_code in allowed(kind, step, version), (step, answer.status_code, answer.text[:200])
            assert "X-Actions-Extension" in answer.headers
        finally:
            double.faults.clear()
        recovered(url, headers)


def allowed(kind: str, step: str, version: str) -> set[int]:
    """The statuses that a fault at a step may be answered with; 200 where this version does not take the step."""
    # Since v15 the API tells the newest run, and the first attempt is opened without being looked for.
    untaken = {"attempt"} if version == "v7" else {"newest", "run"}
    if step in untaken or kind == "truncate":
        return {200, 502}
    return {502, 503} if step == "probe" else {502}


def recovered(url: str, headers: dict[str, str]) -> None:
    """Soon, for a failed sign-in is not tried again at once."""
    deadline = time.monotonic() + 30
    while requests.get(url, headers=headers, timeout=20).status_code != 200:
        assert time.monotonic() < deadline, "it does not recover"
        time.sleep(0.05)


def test_a_log_without_an_end_ends_with_its_reader() -> None:
    """However long, it is passed on as it comes; when the client leaves, so does the request to Forgejo."""
    with Double(version="v15") as double:
        demo, admin = sample(double.world, "endless"), double.world.admin
        run = double.world.run(demo.repo, jobs=[JobSpec("big")])
        double.world.big_log(run.jobs[0], 10 << 30)
        with start_proxy(double.url, (admin.name, admin.password), {"actions_threads": "4"}) as proxy:
            host, port = proxy.url.removeprefix("http://").split(":")
            for _ in range(12):  # three times as many as there are places
                with socket.create_connection((host, int(port)), timeout=20) as client:
                    client.sendall(
                        f"GET {demo.base}/{run.index}/logs HTTP/1.1\r\nHost: x\r\n"
                        f"Authorization: token {demo.reader}\r\n\r\n".encode()
                    )
                    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
                    assert sum(len(client.recv(1 << 20)) for _ in range(20)) > 0
