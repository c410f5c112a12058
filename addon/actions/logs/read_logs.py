"""The use cases of logs: one job's whole log, a part of it, or several jobs' logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from addon import trace
from addon.actions.finding.find_job import STATES, check_count, several_jobs
from addon.actions.finding.run_finder import RunFinder
from addon.actions.logs.lines import first_block_read
from addon.actions.logs.options import LogOptions
from addon.actions.logs.reader import LogReader
from addon.actions.logs.wanted_lines import WantedLines
from addon.actions.query import SEVERAL, Query
from addon.actions.recheck import Recheck
from addon.caller import Caller
from addon.errors import Forbidden, Gone, NotFound, Unauthorized
from addon.forgejo.access import Access
from addon.forgejo.job_logs import CallersLogs, JobLogs, Log, not_started
from addon.forgejo.parsers.attempts import check_attempt
from addon.forgejo.web_ui import WebUi
from addon.model import Job, Run, Status

# How many jobs' pages are read ahead, at a time.
AHEAD = 4


@dataclass(frozen=True, slots=True)
class JobLog:
    """One of several jobs' logs. `missing` says why there is none. Before v13, `attempt` and `started_at` are None."""

    job: Job
    attempt: int | None
    started_at: datetime | None
    blocks: Iterator[bytes]
    missing: str | None = None

    @classmethod
    def of(cls, run: Run, blocks: Iterator[bytes], missing: str | None = None) -> JobLog:
        """The log of the job and attempt that the run shows in detail."""
        shown = run.shown_attempt
        started_at = shown.started_at if shown else None
        return cls(run.jobs[run.detail.index], run.detail.attempt, started_at, blocks, missing)


class ReadLogs:
    """Reads logs."""

    def __init__(
        self,
        finder: RunFinder,
        access: Access,
        web_ui: WebUi,
        logs: JobLogs,
        recheck: float,
        own_logs: Callable[[Caller], CallersLogs | None],
    ) -> None:
        """Several logs may take long: after `recheck` seconds, access is checked again before the next one.

        `own_logs` are the logs that a caller can read himself, if this Forgejo has a route for them.
        """
        self._own_logs = own_logs
        self._finder, self._access, self._web_ui, self._logs = finder, access, web_ui, logs
        self._lines = WantedLines(logs)
        self._recheck = recheck

    def whole(self, query: Query, caller: Caller, method: str, headers: Mapping[str, str]) -> tuple[Run, Log]:
        """One job's log, unchanged. The run shows job and attempt. `headers` may have Range."""
        run = self._finder.job_to_read(query, caller)
        with trace.timed("forgejo"):
            own = self._own(run, caller)
            return run, own.open(run, method, headers) if own else self._logs.open(_started(run), method, headers)

    def part(self, query: Query, caller: Caller) -> tuple[Run, Iterator[bytes]]:
        """Some lines of one job's log. The first block has been read."""
        run = self._finder.job_to_read(query, caller)
        with trace.timed("forgejo"):
            options = LogOptions.of(query)
            own = None if options.by_step else self._own(run, caller)
            if own is not None:
                reader = LogReader(own)
                start, stop = (0, None) if options.tail is None else reader.last_lines(run, options.tail)
                return run, first_block_read(options.applied(reader.stream(run, start, stop)))
            return run, first_block_read(self._lines.read(_started(run), options))

    def _own(self, run: Run, caller: Caller) -> CallersLogs | None:
        """What reads the log of an attempt that Forgejo's pages hide, because the job waits for a rerun."""
        shown = run.shown_attempt
        is_hidden = shown is not None and shown.started_at is not None and not run.detail.started
        return self._own_logs(caller) if is_hidden else None

    def several(self, query: Query, caller: Caller) -> tuple[Run, Iterator[JobLog]]:
        """The logs of all, the failed, or one of the run's jobs. Read each log before the next one."""
        options = LogOptions.of(query)
        if query.job not in SEVERAL:
            run = self._finder.job_to_read(query, caller)
            return run, iter((self._log_of(run, options),))
        run = self._finder.to_read(query, caller)
        # The run shows how jobs ended in their newest attempt. Of an earlier one, only each job's own page tells.
        chosen = run.jobs if query.attempt else several_jobs(run, str(query.job))
        check_count(run, chosen)
        recheck = Recheck(lambda: self._access.read(caller, run.repo), self._recheck)
        check = self._checker(run, query, caller)
        return run, self._each(
            run, chosen, query, lambda page: self._at_attempt(page, query.attempt, check, options), recheck
        )

    def _each(
        self, run: Run, chosen: Sequence[Job], query: Query, read: Callable[[Run], JobLog], recheck: Recheck
    ) -> Iterator[JobLog]:
        """The logs, at the attempt of the query, for as long as access lasts.

        Of an earlier attempt, only those that ended as the query says.
        """
        states = STATES.get(str(query.job)) if query.attempt else None
        with closing(trace.in_order(lambda job: self._web_ui.in_detail(run, job), chosen, AHEAD)) as pages:
            for page in pages:
                if states is not None and _state_at(page, query.attempt or 0) not in states:
                    continue
                try:
                    recheck.if_due()
                except (Unauthorized, Forbidden, NotFound) as error:
                    yield _missing(page, f"access has ended: {error.message}")
                    return
                yield read(page)

    def _checker(self, run: Run, query: Query, caller: Caller) -> Callable[[Run], None] | None:
        """Raises NotFound if the first attempt of a shown job can't be read. Only for versions that don't number it."""
        if query.attempt != 1 or run.detail.attempts is not None:
            return None
        attempts = self._finder.attempts_of(run, caller)
        return lambda shown: attempts.check_only_one(shown, shown.detail.index)

    def _at_attempt(
        self, run: Run, attempt: int | None, check: Callable[[Run], None] | None, options: LogOptions
    ) -> JobLog:
        """The log of an attempt, which the job may not have."""
        try:
            if check is not None:
                check(run)
            elif attempt:
                check_attempt(run.detail, attempt)
                run = self._web_ui.same_job(run, run.jobs[run.detail.index], attempt)
        except NotFound as error:
            return _missing(run, error.message)
        return self._log_of(run, options)

    def _log_of(self, run: Run, options: LogOptions) -> JobLog:
        """The log, or why there is none: among several logs that is no error."""
        try:
            blocks = first_block_read(self._lines.read(_started(run), options))
        except (NotFound, Gone) as error:
            return _missing(run, error.message)
        return JobLog.of(run, blocks)


def _state_at(run: Run, attempt: int) -> Status | None:
    """How an attempt of the shown job ended; None if there is none. Before v13, it is the only one there is."""
    if run.detail.attempts is None:
        return run.jobs[run.detail.index].status
    return next((each.status for each in run.detail.attempts if each.number == attempt), None)


def _missing(run: Run, why: str) -> JobLog:
    return JobLog.of(run, iter(()), why)


def _started(run: Run) -> Run:
    """Raises NotFound while the job waits for a runner: then it has no log."""
    if not run.detail.started and not run.jobs[run.detail.index].status.done:
        raise not_started(run)
    return run
