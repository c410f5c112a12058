"""The JSON state of a run's page."""

from __future__ import annotations

import html
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from tests.double import answers
from tests.double.aggregation import estimated_outcome
from tests.double.logs import Log
from tests.double.model import Job, Run, Status, Step, Task
from tests.double.people import People
from tests.double.versions import Version

# More lines than this, of a job that is done, are encoded only once.
MANY_LINES = 5000


@dataclass(frozen=True)
class Viewer:
    """Who looks: the sub-path of links, the texts of a language, and the rights to Actions."""

    sub: str
    texts: Mapping[str, str]
    writes: bool
    administers: bool


class StepOutOfRangeError(Exception):
    """Forgejo panics: an HTML page with status 500."""


class LogMissingError(Exception):
    """The log's file is not there."""


def duration(seconds: int) -> str:
    """As Go prints it, negative ones too: 1h2m3s, -5s."""
    sign, rest = ("-" if seconds < 0 else ""), abs(seconds)
    hours, minutes = rest // 3600, rest % 3600 // 60
    text = f"{rest % 60}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return sign + text


def took(started: int, stopped: int, done: bool, now: int) -> int:
    """Seconds between two times, or until now; 0 for what never started."""
    return 0 if not started else (stopped if done else now) - started


def run_seconds(world: People, run: Run) -> int:
    """The run's duration with that of earlier attempts."""
    return run.previous_duration + took(run.started, run.stopped, run.status.done, world.now())


def job_seconds(world: People, job: Job) -> int:
    if job.task is None:
        return 0
    done = job.status.done
    return took(job.started, job.stopped + (job.clock_skew if done else 0), done, world.now())


def relative_time(seconds: int) -> str:
    """The element for a moment; `-` for none."""
    if not seconds:
        return "-"
    moment = time.gmtime(seconds)
    exact, readable = (time.strftime(form, moment) for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S +00:00"))
    return (
        f'<relative-time prefix="" tense="past" datetime="{exact}" data-tooltip-content '
        f'data-tooltip-interactive="true">{readable}</relative-time>'
    )


def repo_link(run: Run, sub: str) -> str:
    return f"{sub}/{run.repo.full_name}"


def ref_link(run: Run, sub: str) -> str:
    if run.ref.startswith("#"):
        return f"{repo_link(run, sub)}/pulls/{run.ref[1:]}"
    return f"{repo_link(run, sub)}/src/{'tag' if run.ref in run.repo.tags else 'branch'}/{quote(run.ref)}"


def all_steps(task: Task, version: Version) -> list[Step]:
    """The task's steps between the two that Forgejo makes up.

    They are not end to end. "Complete job" begins where all lengths added up end, not where the last step ends. It has
    lines only if the last step that ran is the last of all, or failed.
    """
    skew, rows = task.job.clock_skew, task.log.rows if task.log else 0
    real = [
        Step(
            step.name,
            step.status,
            step.started + skew if step.started else 0,
            step.stopped + skew if step.stopped else 0,
            step.log_index,
            step.log_length,
        )
        for step in task.steps
    ]
    stopped = task.stopped + skew if task.stopped else 0
    first = Step("Set up job", Status.RUNNING, task.started, 0, 0, rows)
    if not real:
        last = Step("Complete job", Status.WAITING, stopped, stopped, rows, 0)
        first.stopped = stopped
        if task.status.done:
            first.status = task.status
            last.status = Status.SUCCESS if task.status is Status.SUCCESS else Status.CANCELLED
        return [first, last]
    begun = _first_that_runs(real, version)
    if begun is not None:
        first.status, first.stopped, first.log_length = Status.SUCCESS, begun.started, begun.log_index
    elif task.status.done or version.first_step_may_be_skipped:
        first.stopped = stopped
        first.status = task.status
        if not version.first_step_may_be_skipped:
            first.status = Status.SKIPPED if task.status is Status.SKIPPED else Status.FAILURE
    ran = [step for step in real if step.status.has_run]
    newest = ran[-1] if ran else first
    last = Step("Complete job")
    if newest.status is Status.FAILURE or newest is real[-1]:
        last.log_index = first.log_length + sum(step.log_length for step in real)
        last.log_length = rows - last.log_index
        last.started, last.status = newest.stopped, Status.RUNNING
    if task.status.done:
        last.status, last.stopped = task.status, stopped
    return [first, *real, last]


def _first_that_runs(steps: Sequence[Step], version: Version) -> Step | None:
    candidates = steps if version.first_step_may_be_skipped else steps[:1]
    return next((step for step in candidates if step.status.has_run or step.status is Status.RUNNING), None)


def waiting_text(job: Job, viewer: Viewer) -> str:
    """Why the job does not run yet, else its status."""
    if job.status is Status.WAITING:
        labels = list(job.spec.runs_on)
        return viewer.texts["wait_label" if len(labels) == 1 else "wait_labels"].format(html.escape(", ".join(labels)))
    return viewer.texts[job.status]


def state(world: People, run: Run, job: Job, task: Task | None, viewer: Viewer) -> dict[str, Any]:
    """`state` of the view: the run and one job of it, at an attempt's task."""
    version = world.version
    current: dict[str, Any] = {"title": job.name}
    if not version.current_details:
        current["summaries"] = []
    elif version.details_list:
        current["details"] = [waiting_text(job, viewer)]
    else:
        current["detail"] = viewer.texts[job.status]
    current["steps"] = [
        {
            "summary": step.name,
            "duration": duration(took(step.started, step.stopped, step.status.done, world.now())),
            "status": step.status.value,
        }
        for step in (all_steps(task, version) if task else ())
    ]
    if version.attempts:
        current["allAttempts"] = _attempts(world, job, viewer)
    return {"run": _run(world, run, viewer), "currentJob": current}


def _attempts(world: People, job: Job, viewer: Viewer) -> list[dict[str, Any]] | None:
    version = world.version
    if job.task is None and not version.attempt_at_creation:
        return None
    entries = []
    if job.task is None:
        number = max(job.attempt, 1)
        entry: dict[str, Any] = {"number": number, "time_since_started_html": viewer.texts["not_started"]}
        entries.append({**entry, "status": job.status.value, "status_diagnostics": [waiting_text(job, viewer)]})
    for task in reversed(job.tasks):
        entry = {"number": task.attempt, "time_since_started_html": relative_time(task.started)}
        entry["status"] = task.status.value
        if version.details_list:
            entry["status_diagnostics"] = [viewer.texts[task.status]]
        entries.append(entry)
    return entries


def _run(world: People, run: Run, viewer: Viewer) -> dict[str, Any]:
    version, texts = world.version, viewer.texts
    done = run.done if version.attempts else run.status.done
    unfinished = any(not job.status.done for job in run.jobs) if version.details_list else not run.status.done
    valid = not (version.rerun_guards and run.pre_execution_error)
    state: dict[str, Any] = {"link": f"{repo_link(run, viewer.sub)}/actions/runs/{run.index}", "title": run.title}
    if version.title_html:
        state["titleHTML"] = html.escape(run.title).replace("&quot;", "&#34;")
    state["status"] = run.status.value
    if version.final_when_done:
        state["estimatedOutcome"] = estimated_outcome([job.status for job in run.jobs]).value
    if version.description:
        state["description"] = _description(run, viewer)
    state["canCancel"] = unfinished and viewer.writes
    state["canApprove"] = False
    state["canRerun"] = run.status.done and viewer.writes and valid
    state["canDeleteArtifact"] = run.status.done and viewer.writes
    if version.native_jobs:
        state["canDelete"] = run.status.done and viewer.administers
    state["done"] = done
    state["jobs"] = [
        {
            "id": job.id,
            "name": job.name,
            "status": job.status.value,
            "canRerun": job.status.done and viewer.writes and valid,
            "duration": duration(job_seconds(world, job)),
        }
        for job in run.jobs
    ]
    branch: dict[str, Any] = {"name": run.ref, "link": ref_link(run, viewer.sub)}
    if version.knows_deleted_branches:
        branch["isDeleted"] = run.ref in run.repo.deleted_branches
    commit: dict[str, Any] = {"localeWorkflow": texts["workflow"]}
    if version.description:
        commit["localeAllRuns"] = texts["all_runs"]
    else:
        commit = {"localeCommit": texts["commit"], "localePushedBy": texts["pushed_by"], **commit}
    commit["shortSHA"] = run.sha[:10]
    commit["link"] = f"{repo_link(run, viewer.sub)}/commit/{run.sha}"
    commit["pusher"] = {"displayName": run.actor.name, "link": f"{viewer.sub}/{run.actor.name}"}
    commit["branch"] = branch
    state["commit"] = commit
    if version.attempts:
        state["preExecutionError"] = run.pre_execution_error
    if version.native_jobs:
        state["preExecutionWarnings"] = run.pre_execution_warnings or None
    return state


def _description(run: Run, viewer: Viewer) -> str:
    commit = f'<a href="{repo_link(run, viewer.sub)}/commit/{run.sha}">{run.sha[:10]}</a>'
    if run.scheduled:
        return f"{viewer.texts['scheduled']}: {commit}"
    actor = f'<a href="{viewer.sub}/{run.actor.name}">{run.actor.name}</a>'
    return f"{viewer.texts['commit']} {commit} {viewer.texts['pushed_by']} {actor}"


def step_logs(
    world: People, task: Task | None, cursors: Sequence[Mapping[str, Any]], viewer: Viewer
) -> list[dict[str, Any]]:
    """`logs.stepsLog`. Raises StepOutOfRangeError and LogMissingError."""
    if task is None:
        return []
    steps, found = all_steps(task, world.version), []
    for cursor in cursors:
        if not cursor.get("expanded"):
            continue
        index, position = int(cursor.get("step", 0)), int(cursor.get("cursor", 0))
        if not 0 <= index < len(steps):
            raise StepOutOfRangeError
        step = steps[index]
        if task.expired and not world.version.expiry_is_guarded:
            raise LogMissingError
        if task.expired:
            if position == 0:
                lines = [{"index": 1, "message": viewer.texts["expired"], "timestamp": float(task.updated)}]
                found.append(_step_log(index, position + 1, lines, step))
            continue
        rows = task.log.rows if task.log else 0
        numbers = range(max(position, 0), min(step.log_length, rows - step.log_index))
        make_lines = _many_lines if task.status.done and len(numbers) > MANY_LINES else _lines
        lines = make_lines(task.log, step.log_index, numbers) if task.log else []
        found.append(_step_log(index, position + len(numbers), lines, step))
    return found


def _lines(log: Log, first: int, numbers: range) -> list[dict[str, Any]]:
    """Some lines of the step that begins at the log's row `first`."""
    rows = ((number, *log.row(first + number)) for number in numbers)
    return [{"index": number + 1, "message": text, "timestamp": moment} for number, moment, text in rows]


@cache
def _many_lines(log: Log, first: int, numbers: range) -> str:
    """A placeholder for these lines. To encode them takes long, and other requests would wait each time."""
    return answers.large(_lines(log, first, numbers))


def _step_log(index: int, cursor: int, lines: Sequence[Mapping[str, Any]] | str, step: Step) -> dict[str, Any]:
    return {"step": index, "cursor": cursor, "lines": lines, "started": step.started}


def artifacts(run: Run) -> dict[str, Any]:
    """The list of a run's artifacts."""
    return {
        "artifacts": [
            {"name": each.name, "size": len(each.data), "status": "expired" if each.expired else "completed"}
            for each in run.artifacts
        ]
    }
