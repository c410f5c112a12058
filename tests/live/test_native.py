"""The dialect by id, with a real client of Forgejo's API: the same on every server."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator

import pyfj
import pytest
import requests

from tests.live.conftest import Stage
from tests.live.scenes import Scene, files, finish
from tests.support.proxy import Proxy, start_proxy

PLAYED = ("green", "failed", "matrix", "big", "cancelled", "feature")


@pytest.fixture(scope="session")
def native(stage: Stage) -> Iterator[Proxy]:
    """A second proxy before the same server, for which {x} is an id."""
    with start_proxy(stage.server.url, stage.server.admin, {"actions_collisions": "native"}) as proxy:
        yield proxy


class Client:
    """The client as one of the people, in the private repository."""

    def __init__(self, stage: Stage, native: Proxy, role: str = "reader") -> None:
        if stage.major < 12:
            pytest.skip("before v12 nobody gets a run's id")
        self._pyfj = pyfj.Forgejo(native.url, token=stage.server.tokens[role])
        self.actions = self._pyfj.repos.actions
        self.place = tuple(stage.server.repo().split("/"))

    def run_id(self, scene: Scene | int) -> int:
        number = scene if isinstance(scene, int) else scene.number
        (run,) = self.send("GET", f"runs?run_number={number}").json()["workflow_runs"]
        return int(run["id"])

    def jobs(self, run_id: int) -> dict[str, pyfj.models.ActionRunJob]:
        return {str(job.name): job for job in self.actions.runs.jobs(*self.place, run_id)}

    def send(self, method: str, path: str) -> pyfj.httpx.Response:
        return self._pyfj._request(method, f"/repos/{'/'.join(self.place)}/actions/{path}")


@pytest.fixture
def client(stage: Stage, native: Proxy) -> Client:
    return Client(stage, native)


@pytest.fixture
def writer(stage: Stage, native: Proxy) -> Client:
    return Client(stage, native, "writer")


def test_before_version_12_there_is_no_such_route(stage: Stage, native: Proxy) -> None:
    if stage.major >= 12:
        pytest.skip("here there is")
    for path in ("runs/1/jobs", "jobs/1", "jobs/1/logs"):
        url = f"{native.url}/api/v1/repos/{stage.server.repo()}/actions/{path}"
        answer = requests.get(url, headers={"Authorization": f"token {stage.server.tokens['reader']}"}, timeout=30)
        assert (answer.status_code, answer.text) == (404, "404 page not found\n")


@pytest.mark.parametrize("scene", PLAYED)
def test_jobs_steps_and_logs(stage: Stage, client: Client, scene: str) -> None:
    played = stage.scenes[scene]
    run_id = client.run_id(played)
    jobs = client.jobs(run_id)
    whole = zipfile.ZipFile(io.BytesIO(client.actions.runs.logs(*client.place, run_id)))
    for name, task in played.tasks.items():
        job = jobs[name]
        assert (job.run_id, job.status in ("success", "failure", "cancelled")) == (run_id, True)
        told = client.send("GET", f"jobs/{job.id}").json()
        assert (told["id"], told["name"], told["status"], told["run_id"]) == (job.id, name, job.status, run_id)
        assert (told["repo_id"], told["owner_id"], told["task_id"]) == (job.repo_id, job.owner_id, job.task_id)
        assert [step["name"] for step in told["steps"]] == ["Set up job", *task.steps, "Complete job"]
        assert [step["number"] for step in told["steps"]] == list(range(len(task.steps) + 2))
        # Forgejo cuts long lines within a character.
        assert client.actions.jobs.logs(*client.place, job.id) == task.log_bytes().decode(errors="replace")
        (entry,) = [each for each in whole.namelist() if f"-{job.id}-attempt-" in each]
        assert whole.read(entry) == task.log_bytes() and entry.startswith(f"{name.replace('/', '')}-")


def test_parts_of_a_log(stage: Stage, client: Client) -> None:
    task = stage.scenes["failed"].tasks["test"]
    job = client.jobs(client.run_id(stage.scenes["failed"]))["test"].id
    parts = [client.send("GET", f"jobs/{job}/logs?step={step}").content for step in range(len(task.steps) + 2)]
    assert b"".join(parts) == task.log_bytes()
    (line,) = client.send("GET", f"jobs/{job}/logs?q=BOOM&qi=true").content.splitlines()
    assert line.endswith(b" ::error file=a.py,line=1::boom")
    rows = [json.loads(row) for row in client.send("GET", f"jobs/{job}/logs?format=ndjson&step=1").text.splitlines()]
    assert [row["content"] for row in rows][:2] == ["test: unit", "ünïcödé ✓ 日本語"]
    with pytest.raises(pyfj.NotFoundError, match="step index out of range"):
        client.send("GET", f"jobs/{job}/logs?step=99")


def test_what_is_not_there(stage: Stage, client: Client) -> None:
    missing = client.jobs(client.run_id(stage.scenes["waiting"]))["lonely"]
    assert missing.task_id == 0
    with pytest.raises(pyfj.NotFoundError, match="job has not been executed yet"):
        client.actions.jobs.logs(*client.place, missing.id)
    for call, message in (
        (lambda: client.actions.runs.jobs(*client.place, 999_999), "run with id 999999: resource does not exist"),
        (lambda: client.send("GET", "jobs/999999"), "run job with id 999999: resource does not exist"),
    ):
        with pytest.raises(pyfj.NotFoundError, match=message):
            call()


def test_artifacts(stage: Stage, client: Client) -> None:
    run_id = client.run_id(stage.scenes["artifacts"])
    (artifact,) = client.actions.runs.artifacts(*client.place, run_id)
    assert (artifact.name, artifact.size_in_bytes, artifact.run_id) == ("report", len(files()), run_id)
    assert list(client.actions.runs.artifacts(*client.place, client.run_id(stage.scenes["green"]))) == []


def test_cancel_and_rerun(stage: Stage, writer: Client) -> None:
    server = stage.server
    number = server.push("again.yml", "by id")
    finish(server, server.take(number), failing=True)
    run_id = writer.run_id(number)
    (job,) = writer.jobs(run_id).values()
    assert writer.send("POST", f"jobs/{job.id}/rerun").status_code == 204
    for path, message in ((f"runs/{run_id}", "workflow"), (f"jobs/{job.id}", "job")):
        with pytest.raises(pyfj.BadRequestError, match=f"{message} is still running"):
            writer.send("POST", f"{path}/rerun")
    finish(server, server.take(number))
    assert writer.send("POST", f"runs/{run_id}/rerun").status_code == 204
    writer.actions.runs.cancel(*writer.place, run_id)
    writer.actions.runs.cancel(*writer.place, run_id)
    (again,) = writer.jobs(run_id).values()
    assert (again.id, again.status) == (job.id, "cancelled")
    assert writer.jobs(writer.run_id(stage.scenes["green"]))["build"].status == "success"


@pytest.mark.parametrize(("role", "error"), [("stranger", pyfj.NotFoundError), ("owner-issue", pyfj.ForbiddenError)])
def test_access(stage: Stage, native: Proxy, client: Client, role: str, error: type[pyfj.APIError]) -> None:
    run_id = client.run_id(stage.scenes["green"])
    job = client.jobs(run_id)["build"].id
    refused, reader = Client(stage, native, role), client
    for method, path in (("GET", f"jobs/{job}"), ("GET", f"runs/{run_id}/jobs"), ("POST", f"jobs/{job}/rerun")):
        with pytest.raises(error):
            refused.send(method, path)
    for path in (f"jobs/{job}/rerun", f"runs/{run_id}/rerun", f"runs/{run_id}/cancel"):
        with pytest.raises(pyfj.ForbiddenError):
            reader.send("POST", path)
