"""A run's summary as Markdown, for pasting into an issue.

Text from workflows, people and logs is always inside code, inline or fenced: there it can't be markup, a link, a
mention or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from addon.actions.annotations import Annotation
from addon.actions.explain import FailedJob, FailedStep
from addon.actions.summary import Summary
from addon.api.links import Links
from addon.api.text.plain import attempt, one_line, size, took
from addon.model import Status

BACKTICKS = re.compile("`+")
URL_SAFE = ":/?#[]@!$&*+,;=%-._~"
MOST_JOBS = 100
MOST_ARTIFACTS = 50


def summary(found: Summary, links: Links) -> str:
    """The whole document."""
    return "\n".join(_lines(found, links)) + "\n"


def code(text: str) -> str:
    """The text as inline code that no backtick in it can end."""
    shown = one_line(text)
    fence = "`" * (_longest(shown) + 1)
    return f"{fence} {shown} {fence}" if shown.strip() else "(empty)"


def block(lines: Iterable[str]) -> list[str]:
    """Lines as fenced code, with a fence that no line can close."""
    shown = [one_line(line.replace("\t", "    ")) for line in lines]
    fence = "`" * max(3, max(map(_longest, shown), default=0) + 1)
    return [f"{fence}text", *shown, fence]


def _longest(text: str) -> int:
    return max((len(run) for run in BACKTICKS.findall(text)), default=0)


def _lines(found: Summary, links: Links) -> Iterator[str]:
    run = found.run
    yield f"### Run {run.number}: {'' if run.done else 'not done yet, '}{run.status}"
    yield ""
    facts = [f"Title {code(run.title)} · workflow {code(run.workflow_id)}"]
    facts += [f"on {code(run.head_branch)}"] if run.head_branch else []
    facts += [f"at {code(run.head_sha[:10])}"] if run.head_sha else []
    actor = run.details.actor or run.actor
    facts += [f"by {code(actor)}"] if actor else []
    facts += [f"took {took(run.details.duration_seconds)}"] if run.details.duration_seconds is not None else []
    yield f"{' · '.join(facts)} · {_link(links.html(run))}"
    yield from _workflow(found)
    yield from _jobs(found)
    for failed in found.failed:
        yield from _failed(failed, attempt(found.attempt(failed.job)))
    yield from _annotations(found)
    yield from _artifacts(found)
    yield from _next(found, links)


def _workflow(found: Summary) -> Iterator[str]:
    error = found.run.workflow_error
    if error:
        yield ""
        yield f"Forgejo reports an error in the workflow file, at {code(error.place)}:"
        yield ""
        yield from block(error.message.splitlines())
    for warning in found.run.workflow_warnings or ():
        yield ""
        yield f"Forgejo warns about the workflow file: {code(warning)}"


def _jobs(found: Summary) -> Iterator[str]:
    jobs = found.run.jobs
    yield ""
    for job in jobs[:MOST_JOBS]:
        status = f"**{job.status}**" if job.status is Status.FAILURE else str(job.status)
        time = f" in {took(job.duration_seconds)}" if job.duration_seconds is not None else ""
        yield f"- {code(job.name)} (job {job.index}): {status}{time}"
    if len(jobs) > MOST_JOBS:
        yield f"- and {len(jobs) - MOST_JOBS} more"


def _failed(failed: FailedJob, of_attempt: str) -> Iterator[str]:
    if not failed.explained:
        return
    name = f"Job {failed.job.index}, {code(failed.job.name)}{of_attempt},"
    for each in failed.steps:
        yield ""
        yield f"{name} failed in step {each.step.number}, {code(each.step.name)}{_of(each)}"
        if each.lines:
            yield ""
            yield from block(each.lines)
    if failed.last_lines:
        yield ""
        yield f"{name} ended its log with:"
        yield ""
        yield from block(failed.last_lines)
    if failed.problem:
        yield ""
        yield f"{name} is not explained completely: {code(failed.problem)}"


def _of(each: FailedStep) -> str:
    if not each.lines:
        return ""
    shown = len(each.lines)
    return ":" if each.total is None or shown == each.total else f", the last {shown} of {each.total} lines:"


def _annotations(found: Summary) -> Iterator[str]:
    if found.annotations:
        yield ""
        yield "Annotations:"
        yield ""
    for each in found.annotations:
        yield f"- {each.annotation.level}{_place(each.annotation)}: {code(each.annotation.text)}"
    if found.annotations_found > len(found.annotations):
        yield f"- and {found.annotations_found - len(found.annotations)} more"


def _place(annotation: Annotation) -> str:
    return "" if annotation.place is None else f" at {code(annotation.place)}"


def _artifacts(found: Summary) -> Iterator[str]:
    if found.artifacts:
        yield ""
        yield "Artifacts:"
        yield ""
    for each in found.artifacts[:MOST_ARTIFACTS]:
        yield f"- {code(each.name)}, {size(each.size)}{', expired' if each.expired else ''}"
    if len(found.artifacts) > MOST_ARTIFACTS:
        yield f"- and {len(found.artifacts) - MOST_ARTIFACTS} more"


def _next(found: Summary, links: Links) -> Iterator[str]:
    run = found.run
    if found.explained < len(found.failed):
        yield ""
        yield f"{len(found.failed)} jobs failed; the first {found.explained} are explained here."
    if run.can_rerun and run.done:
        yield ""
        warning = ", which deletes its artifacts" if found.rerun_deletes else ""
        yield f"With write access it can be run again{warning}: POST {_link(links.api(run, found.rerun_tail))}"
    if run.cancellable:
        yield ""
        yield f"With write access it can be cancelled: POST {_link(links.api(run, '/cancel'))}"


def _link(url: str) -> str:
    return f"<{quote(url, safe=URL_SAFE)}>"
