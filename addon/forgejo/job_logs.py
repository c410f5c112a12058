"""A job's log as the administrator sees it, and the lines that the run's page shows of each step.

While a rerun waits, the pages hide the logs of earlier attempts. Since v16 Forgejo's API has them for the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from addon.caller import Caller
from addon.errors import Gone, NotFound
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.log_body import LogBody, task_in
from addon.forgejo.parsers.step_logs import StepLine, step_lines
from addon.forgejo.rest import RestApi
from addon.forgejo.transport import Response, StreamedResponse
from addon.forgejo.web_routes import job_path, unexpected_status
from addon.model import Run

NOT_STARTED = b"job is not started"
EXPIRED = b"logs have expired"
CLEANED_UP = b"logs have been cleaned up"
NO_FILE = b"file does not exist"
NO_EXIST = b"resource does not exist"
# Forgejo writes a job's name into a header unchanged.
HEADER = re.compile(r"[^\x00-\x1f\x7f]+")
LOG_HEADERS = ("content-length", "content-range", "accept-ranges", "content-disposition")


@dataclass(frozen=True, slots=True)
class Log:
    """A job's log: Forgejo's bytes and the headers that describe them. `status` is 200, 206 or 416 (no body)."""

    status: int
    headers: Mapping[str, str]
    body: LogBody | None


class JobLogs:
    """Logs, each of the job and attempt that a run shows in detail."""

    def __init__(self, session: AdminSession) -> None:
        self._session = session

    def open(self, run: Run, method: str = "GET", headers: Mapping[str, str] | None = None) -> Log:
        """Opens the log, which the caller reads or closes. `headers` may have Range. Raises NotFound or Gone."""
        path = f"{job_path(run)}/logs"
        response = self._session.stream(method, path, headers or {})
        kept = {
            name: response.headers[name] for name in LOG_HEADERS if HEADER.fullmatch(response.headers.get(name, ""))
        }
        if isinstance(response, StreamedResponse):

            def open_part(first: int, last: int) -> StreamedResponse | None:
                part = self._session.stream("GET", path, {"Range": f"bytes={first}-{last}"})
                return part if isinstance(part, StreamedResponse) else None

            return Log(response.status, kept, LogBody(response, open_part))
        if response.status == 416:
            kept.pop("content-length", None)  # the length of Forgejo's message
            return Log(416, kept, None)
        raise _no_log(run, response)

    def task_id(self, run: Run) -> int | None:
        """Forgejo's id of the attempt that the run shows in detail; None if it has no log."""
        try:
            log = self.open(run, "HEAD")
        except (NotFound, Gone):
            return None
        if log.body is not None:
            log.body.close()
        task = task_in(log.headers)
        return int(task) if task else None

    def step_lines(self, run: Run, wanted: Mapping[int, int]) -> Iterator[StepLine]:
        """The lines of some steps as the run's page shows them, step by step.

        `wanted` are the steps' places, from 0, and how many lines to leave out. Forgejo reads the rest of the log from
        each step's first wanted line on and keeps these lines in memory. Not for a log that has expired.
        """
        cursors = [{"step": step, "cursor": count, "expanded": True} for step, count in wanted.items()]
        response = self._session.stream("POST", job_path(run), {}, {"logCursors": cursors}, "application/json")
        if not isinstance(response, StreamedResponse):
            raise NotFound("no such run") if response.status == 404 else unexpected_status(response)
        with closing(response):
            yield from step_lines(response, wanted)


class CallersLogs:
    """Logs of any attempt, by a route of Forgejo's own, with a caller's credentials (v16 and later)."""

    def __init__(self, rest: RestApi, caller: Caller) -> None:
        self._rest, self._caller = rest, caller

    def open(self, run: Run, method: str = "GET", headers: Mapping[str, str] | None = None) -> Log:
        """Like JobLogs.open. Forgejo has no HEAD here: the caller closes the body."""
        response = self._ask(run, headers or {})
        kept = {name: response.headers[name] for name in LOG_HEADERS if name in response.headers}
        if response.status in (200, 206):

            def open_part(first: int, last: int) -> StreamedResponse | None:
                part = self._ask(run, {"Range": f"bytes={first}-{last}"})
                if part.status == 206:
                    return part
                part.close()
                return None

            return Log(response.status, kept, LogBody(response, open_part))
        message = response.read()
        if message.status == 416:
            kept.pop("content-length", None)
            return Log(416, kept, None)
        if message.status == 404 and EXPIRED in message.body:
            raise Gone(f"the log of job {run.detail.index} ({run.detail.name}) has expired: Forgejo has deleted it")
        raise not_started(run) if message.status == 404 else unexpected_status(message)

    def _ask(self, run: Run, headers: Mapping[str, str]) -> StreamedResponse:
        tail = f"/actions/jobs/{run.jobs[run.detail.index].id}/logs"
        return self._rest.stream(self._caller, run.repo, tail, {"attempt": str(run.detail.attempt)}, headers)


def _no_log(run: Run, response: Response) -> Exception:
    job = f"job {run.detail.index} ({run.detail.name})"
    state = run.jobs[run.detail.index].status
    if CLEANED_UP in response.body:
        return Gone(f"the log of {job} has expired: Forgejo has deleted it")
    if NOT_STARTED in response.body or (response.status == 404 and not run.detail.started):
        return not_started(run)
    if response.status == 500 and (NO_FILE in response.body or not response.body):
        if run.detail.calls_workflow:
            return NotFound(
                f"{job} calls a reusable workflow ({state}): it has no log, and its result is that of the called "
                "workflow's jobs, which are jobs of this run too"
            )
        if state.done:
            return NotFound(f"{job} is done ({state}) but its runner never uploaded a log")
        return NotFound(f"{job} has started but has no log lines yet")
    if response.status == 500 and NO_EXIST in response.body:
        return NotFound(f"{job} has no such attempt")
    if response.status == 404:
        return NotFound(f"Forgejo has no log of {job}")
    return unexpected_status(response)


def not_started(run: Run) -> NotFound:
    """The error for a job without a log: it waits, or it was skipped or cancelled before it started."""
    job = run.jobs[run.detail.index]
    name = f"job {job.index} ({job.name})"
    if job.status.done:
        broken = run.workflow_error
        reason = (
            f". Forgejo reports an error in the workflow file, at {broken.place}: {broken.message}" if broken else ""
        )
        return NotFound(f"{name} never started ({job.status}), so it has no log{reason}")
    earlier = [each for each in run.detail.attempts or () if each.started_at is not None]
    if earlier:
        return NotFound(
            f"{name} is not started: it waits for a rerun, and until that starts Forgejo hides the logs of earlier "
            "attempts"
        )
    return NotFound(f"{name} is not started ({job.status}), so it has no log yet")
