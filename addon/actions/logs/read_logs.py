"""The use cases of logs: one job's as Forgejo has it, a part of it, or several jobs'. (Following: `followservice`.)"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING

from addon import trace
from addon.actions.logs.reader import LogReader, Options
from addon.api.parameters import ALL, FAILED
from addon.api.routes import Query
from addon.api.text import bundle
from addon.api.text.bundle import JobLog
from addon.caller import Caller
from addon.errors import ApiError, Gone, NotFound
from addon.forgejo.job_logs import JobLogs, Log, not_started
from addon.forgejo.web_ui import Forgejo, check_attempt
from addon.model import Run

if TYPE_CHECKING:
    from addon.actions.service import Service, Timings

SIDE_BY_SIDE = 4


class LogService:
    """What callers can ask of logs."""

    def __init__(self, service: Service, forgejo: Forgejo, logs: JobLogs) -> None:
        self._service = service
        self._forgejo = forgejo
        self._logs = logs
        self.reader = LogReader(logs)

    def whole(
        self, query: Query, caller: Caller, timings: Timings, method: str, headers: Mapping[str, str]
    ) -> tuple[Run, Log]:
        """One job's log; the run tells job and attempt. `headers` may hold Range."""
        run = self._service.job_of(query, caller, timings)
        with timings.part("forgejo"):
            return run, self._logs.open(started(run), method, headers)

    def part(self, query: Query, caller: Caller, timings: Timings) -> tuple[Run, Iterator[bytes]]:
        """Some lines of one job's log; the first are read."""
        run = self._service.job_of(query, caller, timings)
        with timings.part("forgejo"):
            return run, begun(self.reader.read(started(run), Options.of(query)))

    def several(self, query: Query, caller: Caller, timings: Timings) -> tuple[Run, Iterator[JobLog]]:
        """The logs of all, the failed, or one of the run's jobs, each to be read before the next."""
        options = Options.of(query)
        if query.job not in (ALL, FAILED):
            run = self._service.job_of(query, caller, timings)
            return run, iter((self._log_of(run, options),))
        run = self._service.run_of(query, caller, timings)
        chosen = bundle.indexes(run, query.job == FAILED)
        return run, self._each(run, chosen, query.attempt, options)

    def _each(self, run: Run, chosen: list[int], attempt: int | None, options: Options) -> Iterator[JobLog]:
        with trace.pool(SIDE_BY_SIDE) as pool:
            pages = [pool.submit(self._forgejo.run, run.repo, run.number, index) for index in chosen]
            try:
                for page in pages:
                    yield self._at_attempt(page.result(), attempt, options)
            finally:
                for page in pages:
                    page.cancel()

    def _at_attempt(self, run: Run, attempt: int | None, options: Options) -> JobLog:
        """The job in detail, at an attempt that it may not have had."""
        try:
            if attempt:
                check_attempt(run.detail, attempt)
                run = self._forgejo.run(run.repo, run.number, run.detail.index, attempt)
        except NotFound as error:
            return _missing(run, error)
        return self._log_of(run, options)

    def _log_of(self, run: Run, options: Options) -> JobLog:
        """That a job has no log is no error among others that have."""
        try:
            blocks = begun(self.reader.read(started(run), options))
        except (NotFound, Gone) as error:
            return _missing(run, error)
        return JobLog(run.jobs[run.detail.index], len(run.jobs), run.detail.attempt, blocks)


def _missing(run: Run, error: ApiError) -> JobLog:
    return JobLog(run.jobs[run.detail.index], len(run.jobs), run.detail.attempt, iter(()), error.message)


def begun(blocks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same, with the first block read now: what fails at once is an error, not the beginning of a log. It must be
    closed, which ends the reading."""
    passing = _passing(blocks)
    next(passing)
    return passing


def _passing(blocks: Iterator[bytes]) -> Generator[bytes, None, None]:
    first = next(blocks, b"")
    yield b""
    yield first
    yield from blocks


def started(run: Run) -> Run:
    """Raises NotFound while the job waits for a runner: it has no log to be asked for."""
    if not run.detail.started and not run.jobs[run.detail.index].status.done:
        raise not_started(run)
    return run
