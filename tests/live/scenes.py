"""The play: what is pushed, and how the scripted runner runs it. The same on every server."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

from tests.live.runner import Task
from tests.live.server import PUBLIC, Server

ODD_LINES = [
    "ünïcödé ✓ 日本語",
    "\x1b[32mgreen\x1b[0m",
    "::group::x",
    "in the group",
    "::endgroup::",
    "<b>&amp;</b> \t ends with a space ",
    "",
    "carriage\rreturn",
]
# Of the big log alone, for their size: several lines in one, and more than Forgejo keeps of a line.
LONG_LINES = ["two\nlines", "x" * 70_000, "e" + "é" * 40_000]
BIG = 20_000
TITLE = 'add <b>ci</b> "quoted" ✓'


@dataclass(frozen=True)
class Scene:
    """A run: its number, and its jobs by name as far as a runner took them."""

    number: int
    tasks: dict[str, Task]

    @property
    def task(self) -> Task:
        """The only one."""
        (task,) = self.tasks.values()
        return task


def perform(server: Server) -> dict[str, Scene]:
    """Every scene by its name, in the order of their run numbers."""
    return {
        "green": _play(server, server.push("ci.yml", TITLE), 3),
        "failed": _play(server, server.push("ci.yml", "break it"), 3, failing="test"),
        "needs": _play(server, server.push("needs.yml", "skip one"), 1, failing="first"),
        "matrix": _play(server, server.push("matrix.yml", "two at once"), 2),
        "big": _big(server),
        "cancelled": _cancelled(server),
        "artifacts": _artifacts(server),
        "deploy": _play(server, server.push("deploy.yml", "ship"), 1),
        "running": _running(server),
        "waiting": Scene(server.push("unserved.yml", "for nobody"), {}),
        "feature": _play(server, server.push("feature.yml", "work on a branch", branch="feature/x"), 1),
        "public": _play(server, server.push("deploy.yml", "in public", repo=PUBLIC), 1),
    }


def files() -> bytes:
    """The zip that the artifact is, the same each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("report.txt"), "all is well\n" * 100)
    return buffer.getvalue()


def finish(server: Server, task: Task, failing: bool = False) -> None:
    """Plays a job: every step's lines, the last step failing or not."""
    last = len(task.steps) - 1
    steps = [[f"{task.job}: {step}", *ODD_LINES] for step in task.steps]
    if failing:
        steps[last].append("::error file=a.py,line=1::boom")
    server.runner.play(task, "failure" if failing else "success", steps, failing=last if failing else None)


def _play(server: Server, number: int, count: int, failing: str = "") -> Scene:
    """So many jobs to their end; the job named `failing` fails in its last step."""
    played: dict[str, Task] = {}
    while len(played) < count:
        task = server.take(number)
        finish(server, task, failing=task.job == failing)
        played[task.job] = task
    return Scene(number, played)


def _big(server: Server) -> Scene:
    number = server.push("big.yml", "many lines")
    task = server.take(number)
    server.runner.play(task, "success", [[f"line {count} of many" for count in range(BIG)] + LONG_LINES])
    return Scene(number, {task.job: task})


def _cancelled(server: Server) -> Scene:
    """Somebody cancels it in the web UI; the runner hears of it and cleans up."""
    number = server.push("stop.yml", "stop it")
    task = server.take(number)
    server.runner.update(task)
    server.runner.log(task, ["begun"])
    server.cancel(number)
    heard = server.runner.update(task)
    if heard != "CANCELLED":
        raise AssertionError(f"the runner of a cancelled job hears {heard}")
    server.runner.log(task, ["and stopped"], last=True)
    server.runner.update(task, result="cancelled")
    return Scene(number, {task.job: task})


def _artifacts(server: Server) -> Scene:
    number = server.push("files.yml", "files")
    task = server.take(number)
    server.runner.update(task)
    server.artifact(task, "report", files())
    finish(server, task)
    return Scene(number, {task.job: task})


def _running(server: Server) -> Scene:
    """Stays as it is: half a log, and no end."""
    number = server.push("slow.yml", "for ever")
    task = server.take(number)
    server.runner.update(task)
    server.runner.log(task, ["half", "a log"])
    return Scene(number, {task.job: task})
