"""A job's log: Forgejo's bytes, and how many of its lines belong to which step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from addon.errors import Gone, NotFound, UpstreamUnexpected
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.transport import Answer, Stream
from addon.forgejo.web_ui import job_path, unexpected
from addon.model import Run

NOT_STARTED = b"job is not started"
CLEANED_UP = b"logs have been cleaned up"
NO_FILE = b"file does not exist"
NO_EXIST = b"resource does not exist"
# Forgejo writes a job's name into a header as it is.
HEADER = re.compile(r"[^\x00-\x1f\x7f]+")
LOG_HEADERS = ("content-length", "content-range", "accept-ranges", "content-disposition")
# In the view's JSON, before a step's lines. A quote inside a line is escaped, so no line can hold this.
STEP_CURSOR = re.compile(rb'\{"step":\s*([0-9]+),\s*"cursor":\s*([0-9]+),')
STEP_CURSOR_SIZE = 64


@dataclass(frozen=True, slots=True)
class Log:
    """A job's log: Forgejo's bytes, and those of its headers that describe them. `status` is 200, 206 or 416."""

    status: int
    headers: Mapping[str, str]
    body: Stream | None


class JobLogs:
    """Logs as the administrator sees them, each of the job and attempt that a run shows in detail."""

    def __init__(self, admin: AdminSession) -> None:
        self._admin = admin

    def open(self, run: Run, method: str = "GET", headers: Mapping[str, str] | None = None) -> Log:
        """The log, to be read or closed. `headers` may hold Range. Raises NotFound (none yet) or Gone."""
        answer = self._admin.stream(method, f"{job_path(run)}/logs", headers or {})
        kept = {name: answer.headers[name] for name in LOG_HEADERS if HEADER.fullmatch(answer.headers.get(name, ""))}
        if isinstance(answer, Stream):
            return Log(answer.status, kept, answer)
        if answer.status == 416:
            kept.pop("content-length", None)  # that of Forgejo's message
            return Log(416, kept, None)
        raise _no_log(run, answer)

    def step_lengths(self, run: Run, known: Sequence[int] = ()) -> tuple[int, ...]:
        """How many lines of the log each step has so far, in order: the steps' lines follow one another in the log.

        Forgejo doesn't say; it sends every line with a count, of which only the count is kept. `known` are counts
        from before: lines that they include aren't sent again. Not for a log that has expired.
        """
        cursors = list(known) + [0] * (len(run.detail.steps) - len(known))
        wanted = [{"step": step, "cursor": count, "expanded": True} for step, count in enumerate(cursors)]
        answer = self._admin.stream("POST", job_path(run), {}, {"logCursors": wanted}, "application/json")
        if not isinstance(answer, Stream):
            raise NotFound("no such run") if answer.status == 404 else unexpected(answer)
        found = _step_cursors(answer)
        if sorted(found) != list(range(len(cursors))):
            raise UpstreamUnexpected("Forgejo's view of a job tells not of all its steps")
        return tuple(found[step] for step in range(len(cursors)))


def _step_cursors(chunks: Stream) -> dict[int, int]:
    """The cursor of each step, taken from the view's JSON as it passes by."""
    found: dict[int, int] = {}
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        for match in STEP_CURSOR.finditer(text):
            found[int(match[1])] = int(match[2])
        rest = text[-STEP_CURSOR_SIZE:]
    return found


def _no_log(run: Run, answer: Answer) -> Exception:
    job = f"job {run.detail.index} ({run.detail.name})"
    state = run.jobs[run.detail.index].status
    if CLEANED_UP in answer.body:
        return Gone(f"the log of {job} has expired: Forgejo has deleted it")
    if NOT_STARTED in answer.body or (answer.status == 404 and not run.detail.started):
        return not_started(run)
    if answer.status == 500 and (NO_FILE in answer.body or not answer.body):
        if state.done:
            return NotFound(f"{job} is done ({state}) but its runner never uploaded a log")
        return NotFound(f"{job} has started but has no log lines yet")
    if answer.status == 500 and NO_EXIST in answer.body:
        return NotFound(f"{job} has no such attempt")
    if answer.status == 404:
        return NotFound(f"Forgejo has no log of {job}")
    return unexpected(answer)


def not_started(run: Run) -> NotFound:
    """Why a job has no log: it waits, perhaps for a rerun, or was skipped or cancelled before it began."""
    job = run.jobs[run.detail.index]
    name = f"job {job.index} ({job.name})"
    if job.status.done:
        return NotFound(f"{name} never started ({job.status}), so it has no log")
    earlier = [each for each in run.detail.attempts or () if each.started_at is not None]
    if earlier:
        return NotFound(
            f"{name} is not started: it waits for a rerun, and until that starts Forgejo hides the logs of earlier "
            "attempts"
        )
    return NotFound(f"{name} is not started ({job.status}), so it has no log yet")
