"""Responses with a run's summary: JSON, Markdown or text, by the Accept header."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from werkzeug.wrappers import Response

from addon.actions.explain import FailedJob, LocatedAnnotation
from addon.actions.jobs import JobList
from addon.actions.query import Query
from addon.actions.summary import Summarize, Summary
from addon.api import request
from addon.api.answers.artifacts import artifact_list
from addon.api.answers.jobs import jobs_json, logs_url, step_json
from addon.api.answers.runs import run_json
from addon.api.links import Links
from addon.api.responses import Json, as_json, run_header
from addon.api.text import markdown, terminal
from addon.caller import Caller
from addon.model import JobDetail, Run, Status

JSON, MARKDOWN, TEXT = "application/json", "text/markdown", "text/plain"
FORMATS = {"json": JSON, "markdown": MARKDOWN, "text": TEXT}
WRITERS = {MARKDOWN: markdown.summary, TEXT: terminal.summary}


def summary(use_case: Summarize, query: Query, caller: Caller) -> Response:
    """The summary, as `format` or the Accept header says. JSON is the default, also if the client accepts no type."""
    found = use_case.summarize(query, caller, request.is_disconnected())
    wanted = FORMATS.get(query.format or "") or request.accepts((JSON, MARKDOWN, TEXT))
    if wanted not in WRITERS:
        response = as_json(_json(found, request.links()))
    else:
        body = WRITERS[wanted](found, request.links()).encode("utf-8", "replace")
        response = Response(body, content_type=f"{wanted}; charset=utf-8")
    response.headers.update({"Vary": "Accept", **run_header(found.run)})
    return response


def _json(found: Summary, links: Links) -> Json:
    run = found.run
    counts = Counter(str(job.status) for job in run.jobs)
    durations = [job.duration_seconds for job in run.jobs if job.duration_seconds is not None]
    return {
        "run": run_json(run, links),
        **jobs_json(JobList(run, found.details), links),
        "counts": {str(status): counts[str(status)] for status in Status if counts[str(status)]},
        "duration_seconds": run.details.duration_seconds,
        "jobs_duration_seconds": sum(durations) if durations else None,
        "failed_jobs": [_failed_job(run, each, found.details.get(each.job.index), links) for each in found.failed],
        "failed_jobs_explained": found.explained,
        "annotations": [_annotation(each) for each in found.annotations],
        "annotations_found": found.annotations_found,
        "artifacts": artifact_list(run, found.artifacts, links),
        "next": {
            "rerunnable": run.can_rerun and run.done,
            "failed_jobs_rerunnable": run.can_rerun and run.done and bool(found.failed),
            "cancellable": run.cancellable,
            "rerun_deletes_artifacts": run.rerun_deletes_artifacts,
            "rerun_url": links.api(run, "/rerun"),
            "rerun_failed_url": links.api(run, found.rerun_tail if found.failed else "/rerun?job=failed"),
            "cancel_url": links.api(run, "/cancel"),
        },
    }


def _failed_job(run: Run, failed: FailedJob, detail: JobDetail | None, links: Links) -> Json:
    steps = [{**step_json(each.step), "lines": each.lines, "lines_total": each.total} for each in failed.steps]
    return {
        "index": failed.job.index,
        "name": failed.job.name,
        "status": failed.job.status,
        "attempt": detail.attempt if detail else None,
        "explained": failed.explained,
        "failed_steps": steps if failed.explained else None,
        "last_lines": failed.last_lines,
        "problem": failed.problem,
        "log_complete": failed.log_complete,
        "logs_url": logs_url(run, failed.job, detail, links),
    }


def _annotation(found: LocatedAnnotation) -> Json:
    return {**asdict(found.annotation), "job_index": found.job.index, "job_name": found.job.name, "step": found.step}
