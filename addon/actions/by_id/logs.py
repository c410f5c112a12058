"""The use cases of logs by id: one job's log or a part of it, and the logs of all jobs of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from addon import trace
from addon.actions.by_id.errors import EXPIRED, NOT_EXECUTED, STEP_OUT_OF_RANGE, LogFileMissing, no_attempt
from addon.actions.by_id.finder import ByIdFinder, FoundJob
from addon.actions.logs.lines import first_block_read
from addon.actions.logs.options import LogOptions
from addon.actions.logs.reader import LogReader
from addon.actions.logs.wanted_lines import WantedLines
from addon.caller import Caller
from addon.errors import Gone, LogTooLarge, NotFound, UpstreamTimeout, UpstreamUnexpected
from addon.forgejo.job_logs import JobLogs, Log
from addon.forgejo.web_ui import WebUi
from addon.model import Job, Repo, Run

SIDE_BY_SIDE = 4
# Why the log of a job is not in a run's zip.
MISSING_LOGS: Mapping[str, str] = {NOT_EXECUTED: NOT_EXECUTED, EXPIRED: "logs have been cleaned up"}
NO_FILE = "log open failed: file does not exist"


@dataclass(frozen=True, slots=True)
class LogOfJob:
    """One of the logs of a run. `missing` says why there is none; `attempt` is None before v13."""

    job: Job
    attempt: int | None
    blocks: Iterator[bytes]
    missing: str | None = None


class LogsById:
    """Reads logs of jobs by id."""

    def __init__(self, finder: ByIdFinder, web_ui: WebUi, logs: JobLogs) -> None:
        self._finder, self._web_ui, self._logs = finder, web_ui, logs
        self._reader, self._lines = LogReader(logs), WantedLines(logs)

    def job(self, caller: Caller, repo: Repo, job_id: int, attempt: int | None) -> FoundJob:
        """The job, at an attempt or (None) the newest one, which has been executed."""
        found = self._finder.job(caller, repo, job_id)
        with trace.timed("forgejo"):
            run = found.run if attempt is None else self._at_attempt(found, attempt)
        if not run.detail.started:
            raise NotFound(NOT_EXECUTED)
        return replace(found, run=run)

    def whole(self, found: FoundJob, headers: Mapping[str, str]) -> Log:
        """The log, unchanged. `headers` may have Range."""
        with trace.timed("forgejo"):
            return _translated(lambda: self._logs.open(found.run, "GET", headers))

    def blocks(self, found: FoundJob, step: int | None) -> Iterator[bytes]:
        """The log, or one step of it (counted from 0), in blocks of whole lines."""
        if step is None:
            return _begun(self._reader.stream(found.run))
        self._check_step(found.run, step)
        return _begun(self._lines.read(found.run, LogOptions(step=step + 1)))

    def all(self, caller: Caller, repo: Repo, run_id: int) -> Iterator[LogOfJob]:
        """The newest log of each of the run's jobs. Read each log before the next one."""
        found = self._finder.run(caller, repo, run_id)
        return iter(()) if found.run is None else self._each(found.run)

    def _each(self, run: Run) -> Iterator[LogOfJob]:
        with trace.pool(SIDE_BY_SIDE) as pool:
            pages = [(job, pool.submit(self._web_ui.run, run.repo, run.number, job.index)) for job in run.jobs]
            try:
                for job, page in pages:
                    yield self._log_of(page.result(), job)
            finally:
                for _, page in pages:
                    page.cancel()

    def _log_of(self, run: Run, job: Job) -> LogOfJob:
        attempt = run.detail.attempt
        try:
            if run.jobs[run.detail.index].id != job.id or not run.detail.started:
                raise NotFound(NOT_EXECUTED)
            return LogOfJob(job, attempt, _begun(self._reader.stream(run)))
        except LogFileMissing:
            return LogOfJob(job, attempt, iter(()), NO_FILE)
        except NotFound as error:
            return LogOfJob(job, attempt, iter(()), MISSING_LOGS.get(error.message, error.message))
        except (UpstreamUnexpected, UpstreamTimeout) as error:
            return LogOfJob(job, attempt, iter(()), f"log open failed: {error.message}")

    def _at_attempt(self, found: FoundJob, attempt: int) -> Run:
        """The run with this attempt in detail. Raises NotFound."""
        run, detail = found.run, found.run.detail
        if detail.attempts is None:
            if attempt < 1:
                raise no_attempt(found.job.id, attempt)
            raise NotFound(
                f"attempt {attempt} can't be told from others: this Forgejo (before v13) has only the newest log of a "
                "job and does not number it; leave attempt out"
            )
        if detail.started and attempt in {each.number for each in detail.attempts}:
            return self._web_ui.run(run.repo, run.number, detail.index, attempt)
        if not detail.started and 0 < attempt < (detail.attempt or 1) + (detail.attempts == ()):
            raise NotFound(f"{NOT_EXECUTED}; while a job waits, this Forgejo (before v16) hides its earlier attempts")
        raise no_attempt(found.job.id, attempt)

    def _check_step(self, run: Run, step: int) -> None:
        """Raises NotFound if the log has expired or the job has no such step. Forgejo checks in this order."""
        exists = 0 <= step < len(run.detail.steps)
        try:
            log = _translated(lambda: self._logs.open(run, "HEAD"))
            if log.body is not None:
                log.body.close()
        except LogFileMissing:
            if exists:
                raise
        if not exists:
            raise NotFound(STEP_OUT_OF_RANGE)


def _begun(blocks: Iterator[bytes]) -> Iterator[bytes]:
    return _translated(lambda: first_block_read(blocks))


def _translated[T](open_log: Callable[[], T]) -> T:
    """Opens a log of a job that has been executed. A missing one is an error of Forgejo 17's."""
    try:
        return open_log()
    except Gone:
        raise NotFound(EXPIRED) from None
    except LogTooLarge:
        raise
    except NotFound:
        raise LogFileMissing from None
