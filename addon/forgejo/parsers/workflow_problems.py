"""What Forgejo says about a workflow file that it could not turn into jobs, or only in part. Pure functions.

Forgejo tells it since v13. In v12 such a run only has a shape of its own; before v12 there is no run at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from parsel import Selector

from addon.model import Job, JobDetail, Status, WorkflowError

# As YAML's parser and Forgejo's own schema write a place: `line 5:`, `Line: 5 Column 3: `.
LINE = re.compile(r"\bline:? ([1-9][0-9]{0,8})\b", re.IGNORECASE)
FILE = re.compile(r"(?<![\w./-])[\w./-]+\.ya?ml\b")
MOST_TEXT = 4000
NOT_TOLD = (
    "Forgejo could not start this run: its workflow file is probably invalid. This Forgejo (before v13) does not say "
    "what is wrong."
)


def workflow_error(
    run: Mapping[str, Any], workflow_id: str, jobs: Sequence[Job], detail: JobDetail
) -> WorkflowError | None:
    """Why Forgejo could not start the run, or not all of it; None if it could. `run` is the view's."""
    text = run.get("preExecutionError")
    if text is None:
        return WorkflowError(NOT_TOLD, workflow_id) if _looks_broken(run, jobs, detail) else None
    if not isinstance(text, str):
        raise TypeError
    return _placed(_bounded(text), workflow_id) if text.strip() else None


def workflow_warnings(run: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What Forgejo ignored in the workflow file, as text without its HTML; None before v16."""
    if "preExecutionWarnings" not in run:
        return None
    return tuple(_bounded(_without_html(each)) for each in run["preExecutionWarnings"] or ())


def _looks_broken(run: Mapping[str, Any], jobs: Sequence[Job], detail: JobDetail) -> bool:
    """Whether the run is as v12 makes it of a broken file: one failed job with the run's title that never ran."""
    if len(jobs) != 1 or detail.started:
        return False
    return jobs[0].name == run["title"] and jobs[0].status is Status.FAILURE


def _placed(text: str, workflow_id: str) -> WorkflowError:
    """The error with its file and line. Of nested errors the innermost has the exact line."""
    for part in text.splitlines():
        if lines := LINE.findall(part):
            return WorkflowError(text, _file(part) or workflow_id, int(lines[-1]))
    return WorkflowError(text, _file(text) or workflow_id)


def _file(text: str) -> str | None:
    """The last file that is named before any line, which is how Forgejo names a reusable workflow."""
    named = FILE.findall(LINE.split(text)[0])
    return named[-1].removeprefix("./") if named else None


def _without_html(html: str) -> str:
    return " ".join("".join(Selector(html or " ", type="html").xpath("//text()").getall()).split())


def _bounded(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"
