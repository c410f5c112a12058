"""A scripted runner: it speaks Forgejo's runner protocol (Connect, JSON) and plays jobs as a test wants them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
import yaml

RESULTS = {"success": 1, "failure": 2, "cancelled": 3, "skipped": 4}

ROWS_AT_ONCE = 2000
MOST_OF_A_LINE = 64 * 1024


@dataclass(repr=False)
class Task:
    """A job that the runner has taken; `lines` is what was written so far, as Forgejo stores it.

    `context` holds, among others, the job's own token for the API, `token`.
    """

    id: int
    job: str
    run_number: int
    steps: tuple[str, ...]
    context: dict[str, Any]
    start: datetime
    lines: list[bytes] = field(default_factory=list)

    def log_bytes(self) -> bytes:
        """The log as Forgejo must serve it."""
        return b"".join(line + b"\n" for line in self.lines)


class Runner:
    """One registered runner, for one label."""

    def __init__(self, url: str, registration_token: str, label: str, name: str = "scripted") -> None:
        """Registers at `url` with a registration token of the instance or a repository."""
        self._url = f"{url.rstrip('/')}/api/actions/runner.v1.RunnerService/"
        self._session = requests.Session()
        self._session.trust_env = False
        labels = [label]
        answer = self._call(
            "Register",
            {"name": name, "token": registration_token, "version": "v9.9.9", "labels": labels, "agentLabels": labels},
        )
        self._session.headers.update(
            {"x-runner-uuid": answer["runner"]["uuid"], "x-runner-token": answer["runner"]["token"]}
        )
        self._call("Declare", {"version": "v9.9.9", "labels": labels})

    def fetch(self) -> Task | None:
        """The next waiting job, or None."""
        task = self._call("FetchTask", {"tasksVersion": "0"}).get("task")
        if task is None:
            return None
        name, steps = _job(base64.b64decode(task["workflowPayload"]).decode())
        context = task["context"]
        return Task(
            id=int(task["id"]),
            job=name,
            run_number=int(context["run_number"]),
            steps=steps,
            context=context,
            start=datetime.now(UTC).replace(microsecond=0),
        )

    def log(self, task: Task, lines: Sequence[str], last: bool = False) -> None:
        """Uploads lines; `last` says that no more will come."""
        for begin in range(0, len(lines), ROWS_AT_ONCE):
            part = lines[begin : begin + ROWS_AT_ONCE]
            index = len(task.lines)
            rows = []
            for offset, text in enumerate(part):
                moment = task.start + timedelta(milliseconds=index + offset)
                rows.append({"time": _rfc3339(moment), "content": text})
                task.lines.append(_stored(moment, text))
            done = last and begin + ROWS_AT_ONCE >= len(lines)
            self._call("UpdateLog", {"taskId": str(task.id), "index": str(index), "rows": rows, "noMore": done})

    def update(self, task: Task, steps: Sequence[dict[str, Any]] = (), result: str | None = None) -> str:
        """Reports steps and, at the end, the result. The answer is Forgejo's: CANCELLED when a user cancelled."""
        state: dict[str, Any] = {"id": str(task.id), "startedAt": _rfc3339(task.start), "steps": list(steps)}
        if result is not None:
            state |= {"result": RESULTS[result], "stoppedAt": _rfc3339(datetime.now(UTC))}
        answer = self._call("UpdateTask", {"state": state, "outputs": {}})
        return str(answer.get("state", {}).get("result", "RESULT_UNSPECIFIED")).removeprefix("RESULT_")

    def play(self, task: Task, result: str, steps: Sequence[Sequence[str]], failing: int | None = None) -> None:
        """A whole job: one line of set-up, then each step's lines, one line of clean-up; step `failing` fails."""
        self.update(task)
        states: list[dict[str, Any]] = []
        lines = [f"set up {task.job}"]
        for number, step in enumerate(steps):
            outcome = "failure" if number == failing else "success"
            states.append(step_state(task, number, outcome, len(lines), len(step)))
            lines += step
        self.log(task, [*lines, "cleaned up"], last=True)
        self.update(task, states, result)

    def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._session.post(self._url + method, json=body, timeout=30)
        if answer.status_code != 200:
            raise RuntimeError(f"{method}: {answer.status_code} {answer.text[:300]}")
        result: dict[str, Any] = answer.json()
        return result


def step_state(task: Task, number: int, result: str, index: int, length: int) -> dict[str, Any]:
    """A finished step: its number among the workflow's steps, and which lines of the log are its."""
    return {
        "id": str(number),
        "result": RESULTS[result],
        "startedAt": _rfc3339(task.start),
        "stoppedAt": _rfc3339(task.start + timedelta(seconds=1)),
        "logIndex": str(index),
        "logLength": str(length),
    }


def _stored(moment: datetime, text: str) -> bytes:
    """A line as Forgejo keeps it: one line whatever was in it, and cut at 64 KiB, be it within a character."""
    head = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0Z "
    return head.encode() + text.replace("\n", "\\n").encode()[:MOST_OF_A_LINE]


def _job(payload: str) -> tuple[str, tuple[str, ...]]:
    """Name and steps of the one job in a task's workflow."""
    ((key, job),) = yaml.safe_load(payload)["jobs"].items()
    return str(job.get("name") or key), tuple(step["name"] for step in job["steps"])


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
