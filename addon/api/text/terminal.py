"""A run's summary for a terminal: plain text without control characters."""

from __future__ import annotations

from collections.abc import Iterator

from addon.actions.annotations import Annotation
from addon.actions.explain import FailedJob
from addon.actions.summary import Summary
from addon.api.links import Links
from addon.api.text.plain import attempt, fitted, one_line, size, took, width

INDENT = "    "
MOST_JOBS = 200
MOST_ARTIFACTS = 50
TITLE_COLUMNS = 100


def summary(found: Summary, links: Links) -> str:
    """The whole text."""
    return "\n".join(line.rstrip() for line in _lines(found, links)) + "\n"


def _lines(found: Summary, links: Links) -> Iterator[str]:
    run = found.run
    actor = run.details.actor or run.actor
    facts = [run.workflow_id, run.head_branch, (run.head_sha or "")[:10], f"by {actor}" if actor else None]
    facts.append(took(run.details.duration_seconds))
    state = str(run.status) if run.done else f"{run.status}, not done yet"
    yield "  ".join([f"run {run.number}", state, *(one_line(fact) for fact in facts if fact)])
    yield fitted(one_line(run.title), TITLE_COLUMNS)
    yield one_line(links.html(run))
    yield ""
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
        yield f"error in the workflow file, at {one_line(error.place)}"
        yield from (INDENT + one_line(line) for line in error.message.splitlines())
        yield ""
    for warning in found.run.workflow_warnings or ():
        yield f"warning about the workflow file: {one_line(warning)}"
        yield ""


def _jobs(found: Summary) -> Iterator[str]:
    jobs = found.run.jobs
    rows = [("JOB", "STATUS", "TOOK", "NAME")]
    for job in jobs[:MOST_JOBS]:
        rows.append((str(job.index), str(job.status), took(job.duration_seconds), one_line(job.name)))
    widths = [max(width(row[column]) for row in rows) for column in range(3)]
    for index, status, time, name in rows:
        yield f"{index:>{widths[0]}}  {fitted(status, widths[1])}  {time:>{widths[2]}}  {name}"
    if len(jobs) > MOST_JOBS:
        yield f"and {len(jobs) - MOST_JOBS} more"


def _failed(failed: FailedJob, of_attempt: str) -> Iterator[str]:
    if not failed.explained:
        return
    name = f"job {failed.job.index}, {one_line(failed.job.name)}{of_attempt}"
    for each in failed.steps:
        yield ""
        shown = len(each.lines or ())
        of = f" (the last {shown} of {each.total} lines)" if each.lines and each.total not in (None, shown) else ""
        yield f"{name}: step {each.step.number}, {one_line(each.step.name)}, failed{of}"
        yield from (INDENT + one_line(line) for line in each.lines or ())
    if failed.last_lines:
        yield ""
        yield f"{name}: the last {len(failed.last_lines)} lines of its log"
        yield from (INDENT + one_line(line) for line in failed.last_lines)
    if failed.problem:
        yield ""
        yield f"{name}: {one_line(failed.problem)}"


def _annotations(found: Summary) -> Iterator[str]:
    if found.annotations:
        yield ""
        yield "annotations"
    for each in found.annotations:
        yield INDENT + "  ".join([f"{each.annotation.level:<7}", *_words(each.annotation)])
    if found.annotations_found > len(found.annotations):
        yield f"{INDENT}and {found.annotations_found - len(found.annotations)} more"


def _words(annotation: Annotation) -> Iterator[str]:
    if annotation.place is not None:
        yield one_line(annotation.place)
    yield one_line(annotation.text)


def _artifacts(found: Summary) -> Iterator[str]:
    if found.artifacts:
        yield ""
        yield "artifacts"
    for each in found.artifacts[:MOST_ARTIFACTS]:
        yield f"{INDENT}{size(each.size):>10}  {one_line(each.name)}{' (expired)' if each.expired else ''}"
    if len(found.artifacts) > MOST_ARTIFACTS:
        yield f"{INDENT}and {len(found.artifacts) - MOST_ARTIFACTS} more"


def _next(found: Summary, links: Links) -> Iterator[str]:
    run = found.run
    if found.explained < len(found.failed):
        yield ""
        yield f"{len(found.failed)} jobs failed; the first {found.explained} are explained"
    if run.can_rerun and run.done:
        yield ""
        warning = " (deletes its artifacts)" if found.rerun_deletes else ""
        yield f"to run it again, with write access{warning}: POST {one_line(links.api(run, found.rerun_tail))}"
    if run.cancellable:
        yield ""
        yield f"to cancel it, with write access: POST {one_line(links.api(run, '/cancel'))}"
