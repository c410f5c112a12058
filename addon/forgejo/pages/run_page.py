"""Forgejo's pages of a run and view JSON, parsed. Pure functions; only this module and `runlist` use parsel.

Nothing is read from localized text: statuses come from enums and icon classes, names from attributes and paths.
A page that lacks what every known version has raises UpstreamUnexpected, never an empty answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from parsel import Selector, SelectorList

from addon.errors import UpstreamUnexpected
from addon.model import Artifact, Attempt, Job, JobDetail, Repo, Run, RunDetails, Status, Step

RUN_PATH = re.compile(r"(?P<sub>/.*)?/(?P<owner>[^/]+)/(?P<name>[^/]+)/actions/runs/(?P<number>[0-9]+)(?P<rest>/.*)?")
ATTEMPT_PATH = re.compile(r"/jobs/[0-9]+/attempt/([1-9][0-9]*)")
ATTEMPT_IN_LINK = re.compile(r"/actions/runs/[0-9]+/jobs/[0-9]+/attempt/([1-9][0-9]{0,8})$")
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|µs|us|ns)")
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:h|ms|m|s|µs|us|ns))+")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class RunPage:
    """`#repo-action-view` of a run's page: the facts, and from v13 on the whole state."""

    workflow_id: str
    run_id: int | None
    view: Mapping[str, Any] | None
    artifacts: tuple[Artifact, ...] | None


@dataclass(frozen=True, slots=True)
class RunLink:
    """A run's path, taken apart; `sub_path` is that of ROOT_URL, often empty."""

    sub_path: str
    repo: Repo
    number: int
    attempt: int | None


def run_link(path: str) -> RunLink:
    """`/{sub}/{owner}/{repo}/actions/runs/{number}[/jobs/{j}[/attempt/{a}]]`, of a link or a Location."""
    match = RUN_PATH.fullmatch(path)
    if match is None:
        raise UpstreamUnexpected("Forgejo points to something that is no run")
    attempt = ATTEMPT_PATH.fullmatch(match["rest"] or "")
    repo = Repo(unquote(match["owner"]), unquote(match["name"]))
    return RunLink(match["sub"] or "", repo, int(match["number"]), int(attempt[1]) if attempt else None)


def run_page(html: str) -> RunPage:
    """The page of one job of a run. `view` is None up to v12, whose page is a shell."""
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
    """The model of a run from its page and view JSON, `job` in detail.

    Raises UpstreamUnexpected when it is another run, or another job under this job's index. A `job` past the end
    is the caller's to notice: Forgejo then shows job 0.
    """
    try:
        return _run(repo, number, job, page, view["state"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _changed("view of a run", error) from None


def _run(repo: Repo, number: int, job: int, page: RunPage, state: Mapping[str, Any]) -> Run:
    run, current = state["run"], state["currentJob"]
    link = run_link(run["link"])
    if link.number != number or not repo.same_as(link.repo.owner, link.repo.name):
        raise UpstreamUnexpected("Forgejo answered with another run")
    jobs = tuple(_job(index, each) for index, each in enumerate(run["jobs"]))
    shown = job if job < len(jobs) else 0
    if not jobs or current["title"] != jobs[shown].name:
        raise UpstreamUnexpected("Forgejo answered with another job")
    commit = run["commit"]
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
        detail=_detail(shown, current),
        artifacts=page.artifacts,
        rerun_deletes_artifacts="description" in run,  # both came with v15
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
    times = Selector(attempt["time_since_started_html"] or " ", type="html").css("relative-time::attr(datetime)")
    return Attempt(int(attempt["number"]), status(attempt["status"]), time(times.get()))


def artifact_list(answer: Mapping[str, Any]) -> tuple[Artifact, ...]:
    """The JSON of a run's artifacts."""
    try:
        return tuple(Artifact(a["name"], int(a["size"]), a["status"]) for a in answer["artifacts"] or ())
    except (KeyError, TypeError, ValueError) as error:
        raise _changed("list of artifacts", error) from None


def new_attempt(answer: Mapping[str, Any]) -> int | None:
    """The attempt that a rerun's answer points to; None before v13, whose answer is empty."""
    link = answer.get("redirect") if isinstance(answer, dict) else None
    match = ATTEMPT_IN_LINK.search(link) if isinstance(link, str) else None
    return int(match[1]) if match else None


def step_started(view: Mapping[str, Any]) -> datetime | None:
    """When the only step whose log was asked for began; None if it didn't."""
    try:
        seconds = [int(step["started"]) for step in view["logs"]["stepsLog"] or ()]
        return datetime.fromtimestamp(seconds[0], UTC) if seconds and seconds[0] > 0 else None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _changed("view of a step", error) from None


def run_details(run: Mapping[str, Any]) -> RunDetails:
    """Forgejo's API object of a run (v12 and later)."""
    try:
        stopped = time(run["stopped"])
        nanoseconds = run.get("duration", 0)
        return RunDetails(
            id=int(run["id"]),
            # The workflow's word. `event` is empty for a schedule or a dispatch.
            event=run["trigger_event"] or run["event"] or None,
            actor=(run["trigger_user"] or {}).get("login"),
            created_at=time(run["created"]),
            updated_at=time(run["updated"]),
            started_at=time(run["started"]),
            stopped_at=stopped,
            duration_seconds=nanoseconds / 1e9 if nanoseconds > 0 or (stopped and not nanoseconds) else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _changed("API object of a run", error) from None


def status(word: object) -> Status:
    """Forgejo's word for a state; a word of a later version is `unknown`."""
    try:
        return Status(str(word))
    except ValueError:
        return Status.UNKNOWN


def duration(text: str) -> float | None:
    """Seconds of Go's `1h2m3s`; None when negative (a runner's clock was off) or not a duration."""
    if text == "0s" or not DURATION.fullmatch(text):
        return 0.0 if text == "0s" else None
    return sum(float(number) * SECONDS[unit] for number, unit in DURATION_PART.findall(text))


def time(text: str | None) -> datetime | None:
    """RFC 3339 as UTC; None for nothing and for the epoch and before, which is how Forgejo writes "never"."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year > 1970 else None


def _took(state: Status, text: str) -> float | None:
    """A duration, unless nothing has started yet: then Forgejo's `0s` says nothing."""
    return None if state in (Status.WAITING, Status.BLOCKED) else duration(text)


def _changed(what: str, error: Exception) -> UpstreamUnexpected:
    """For whoever has to adapt this file to a new Forgejo. A KeyError's key is a name that is written above."""
    field = f"the field {error.args[0]!r}" if isinstance(error, KeyError) else f"a field ({type(error).__name__})"
    return UpstreamUnexpected(f"Forgejo's {what} lacks or changed {field}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def attribute(nodes: SelectorList[Selector], name: str) -> str | None:
    """One attribute of the first node. (`Selector.attrib` fails on an element with a malformed attribute name.)"""
    return nodes[:1].xpath(f"@{name}").get()


def last_segment(link: str | None) -> str | None:
    """The last part of a link's path, decoded; None for nothing."""
    return unquote((link or "").rstrip("/").rpartition("/")[2]) or None


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise UpstreamUnexpected("Forgejo's run page holds broken JSON") from None
    if not isinstance(value, dict):
        raise UpstreamUnexpected("Forgejo's run page holds JSON that is no object")
    return value
