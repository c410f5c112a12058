"""A repository with one run of each kind, made in a stand-in's world for one test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from tests.double import JobSpec

CI = (
    JobSpec("build", steps=["compile", "pack"]),
    JobSpec("test", steps=["unit", "integration"], needs=["build"]),
    JobSpec("lint (mypy)", steps=["lint"]),
    JobSpec("lint (ruff)", steps=["lint"]),
)
BUILD_LINES = [["setting up"], ["compiling ünïcödé ✓", "\x1b[32mgreen\x1b[0m"], ['<b>html</b> & "quotes"']]


@dataclass
class Sample:
    """The repository, its people's tokens, and its runs by name."""

    repo: Any
    owner: str
    writer: str
    reader: str
    stranger: str
    runs: dict[str, Any]

    @property
    def base(self) -> str:
        """The extension's paths of this repository."""
        return f"/api/v1/repos/{self.repo.full_name}/actions/runs"


def sample(world: Any, unique: str, private: bool = True) -> Sample:
    """Owner, writer, reader, stranger; runs: green (1), failed (2), deploy (3), green again on a branch (4)."""
    people = {role: world.user(f"{role}-{unique}") for role in ("owner", "writer", "reader", "stranger")}
    tokens = {role: world.token(user, "all") for role, user in people.items()}
    repo = world.repo(f"owner-{unique}/demo", private=private)
    repo.collaborators[people["writer"]] = "write"
    repo.collaborators[people["reader"]] = "read"
    runs = {
        "green": world.run(repo, workflow_id="ci.yml", title='add <b>ci</b> "quoted" ✓', jobs=CI),
        "failed": world.run(repo, workflow_id="ci.yml", title="break it", jobs=CI),
        "deploy": world.run(repo, workflow_id="deploy.yml", title="ship", jobs=[JobSpec("ship", steps=["ship"])]),
        "branch": world.run(repo, workflow_id="ci.yml", title="work", branch="feature/x", jobs=CI),
    }
    for name in ("green", "branch"):
        play(world, runs[name])
    play(world, runs["failed"], failing="test")
    world.play(runs["deploy"].jobs[0], "success", [["setup"], ["shipped"]])
    return Sample(repo, tokens["owner"], tokens["writer"], tokens["reader"], tokens["stranger"], runs)


def play(world: Any, run: Any, failing: str = "") -> None:
    """Every job of a run to its end; the job named `failing` fails."""
    for job in run.jobs:
        lines = BUILD_LINES if job.name == "build" else [[f"set up {job.name}"], [f"{job.name} ran"]]
        world.play(job, "failure" if job.name == failing else "success", lines)


def number_in(response: requests.Response) -> int:
    """The number of the run that a response is about."""
    return int(response.headers["X-Actions-Run"].partition(";")[0])
