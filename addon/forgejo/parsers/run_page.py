"""The parser of a run's page and of its view JSON. Pure functions.

Nothing is read from localized text: states come from enums, names from attributes and paths. A page without the
fields that every known version has raises UpstreamUnexpected; it never becomes an empty result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from parsel import Selector

from addon.errors import UpstreamUnexpected
from addon.forgejo.parsers.values import attribute, changed, duration, last_segment, run_link, shown_time, status
from addon.forgejo.parsers.workflow_problems import workflow_error, workflow_warnings
from addon.model import Artifact, Attempt, Job, JobDetail, Repo, Run, Status, Step

ATTEMPT_IN_LINK = re.compile(r"/actions/runs/[0-9]+/jobs/[0-9]+/attempt/([1-9][0-9]{0,8})$")


@dataclass(frozen=True, slots=True)
class RunPage:
    """The element `#repo-action-view` of a run's page. From v13 on it holds the whole state (`view`)."""

    workflow_id: str
    run_id: int | None
    view: Mapping[str, Any] | None
    artifacts: tuple[Artifact, ...] | None


def run_page(html: str) -> RunPage:
    """Parses the page of one job of a run. `view` is None before v13, whose page is an empty shell."""
    node = Selector(html, type="html").css("#repo-action-view")
    workflow_id = attribute(node, "data-workflow-name")
    if workflow_id is None:
        raise UpstreamUnexpected("Forgejo's run page has no #repo-action-view")
    run_id = attribute(node, "data-run-id") or ""
    state = attribute(node, "data-initial-post-response")
    artifacts = attribute(node, "data-initial-artifacts-response")
    return RunPage(
        workflow_id=workflow_id,
        run_id=int(run_id) if run_id.isdigit() and int(run_id) else None,
        view=_object(state) if state is not None else None,
        artifacts=artifact_list(_object(artifacts)) if artifacts is not None else None,
    )


def run(repo: Repo, number: int, job: int, page: RunPage, view: Mapping[str, Any]) -> Run:
    """The run of a page and a view JSON, with one job in detail.

    Raises UpstreamUnexpected if it is another run, or if another job has this index. For an index past the last job
    Forgejo shows job 0; the caller has to notice that.
    """
    try:
        return _run(repo, number, job, page, view["state"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise changed("view of a run", error) from None


def _run(repo: Repo, number: int, job: int, page: RunPage, state: Mapping[str, Any]) -> Run:
    run, current = state["run"], state["currentJob"]
    link = run_link(run["link"])
    if link.number != number or not repo.same_as(link.repo.owner, link.repo.name):
        raise UpstreamUnexpected("Forgejo answered with another run")
    jobs = tuple(_job(index, each) for index, each in enumerate(run["jobs"]))
    shown = job if job < len(jobs) else 0
    if not jobs or current["title"] != jobs[shown].name:
        raise UpstreamUnexpected("Forgejo answered with another job")
    commit, detail = run["commit"], _detail(shown, current)
    return Run(
        repo=link.repo,
        number=number,
        id=page.run_id,
        sub_path=link.sub_path,
        title=_text(run["title"]),
        status=status(run["status"]),
        finished=run["done"] is True,
        workflow_id=page.workflow_id,
        head_branch=commit["branch"]["name"] or None,
        head_sha=last_segment(commit["link"]),
        actor=last_segment(commit["pusher"]["link"]),
        can_rerun=run["canRerun"] is True,
        can_cancel=run["canCancel"] is True,
        jobs=jobs,
        detail=detail,
        artifacts=page.artifacts,
        rerun_deletes_artifacts="description" in run,  # both are new in v15
        workflow_error=workflow_error(run, page.workflow_id, jobs, detail),
        workflow_warnings=workflow_warnings(run),
    )


def _job(index: int, job: Mapping[str, Any]) -> Job:
    state = status(job["status"])
    return Job(
        index=index,
        id=int(job["id"]),
        name=_text(job["name"]),
        status=state,
        duration_seconds=_took(state, job["duration"]),
        can_rerun=job["canRerun"] is True,
    )


def _detail(index: int, current: Mapping[str, Any]) -> JobDetail:
    steps = tuple(
        Step(number, _text(step["summary"]), status(step["status"]), _took(status(step["status"]), step["duration"]))
        for number, step in enumerate(current["steps"] or (), start=1)
    )
    attempts = None
    if "allAttempts" in current:
        attempts = tuple(_attempt(each) for each in reversed(current["allAttempts"] or ()))
    return JobDetail(index, current["title"], steps, None, attempts)


def _attempt(attempt: Mapping[str, Any]) -> Attempt:
    started = shown_time(Selector(attempt["time_since_started_html"] or " ", type="html"))
    return Attempt(int(attempt["number"]), status(attempt["status"]), started)


def artifact_list(answer: Mapping[str, Any]) -> tuple[Artifact, ...]:
    """Parses the JSON list of a run's artifacts."""
    try:
        return tuple(Artifact(a["name"], int(a["size"]), a["status"]) for a in answer["artifacts"] or ())
    except (KeyError, TypeError, ValueError) as error:
        raise changed("list of artifacts", error) from None


def new_attempt(answer: Mapping[str, Any]) -> int | None:
    """The attempt that the response to a rerun points to; None before v13, whose response is empty."""
    link = answer.get("redirect") if isinstance(answer, dict) else None
    match = ATTEMPT_IN_LINK.search(link) if isinstance(link, str) else None
    return int(match[1]) if match else None


def step_started(view: Mapping[str, Any]) -> datetime | None:
    """The start of the one step whose log was requested; None if it has not started."""
    return next(iter(step_starts(view)), None)


def step_starts(view: Mapping[str, Any]) -> tuple[datetime | None, ...]:
    """The starts of the steps whose logs were requested; None for a step that has not started."""
    try:
        seconds = [int(step["started"]) for step in view["logs"]["stepsLog"] or ()]
        return tuple(datetime.fromtimestamp(each, UTC) if each > 0 else None for each in seconds)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise changed("view of a step", error) from None


def _took(state: Status, text: str) -> float | None:
    """A duration. Before the start Forgejo writes `0s`, which means nothing: then None."""
    return None if state in (Status.WAITING, Status.BLOCKED) else duration(text)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise UpstreamUnexpected("Forgejo's run page holds broken JSON") from None
    if not isinstance(value, dict):
        raise UpstreamUnexpected("Forgejo's run page holds JSON that is no object")
    return value
