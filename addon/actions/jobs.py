"""The use cases of jobs: all jobs of a run, one job in detail, and a job's attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from addon import trace
from addon.actions.finding.find_job import check_count, job_index
from addon.actions.finding.run_finder import RunFinder, named_index
from addon.actions.finding.run_selector import Reading
from addon.actions.logs.reader import LogReader
from addon.actions.logs.step_ranges import StepRanges
from addon.actions.query import NEWEST, Query
from addon.actions.waiting import IsDisconnected, Waiting
from addon.caller import Caller
from addon.errors import BadRequest, Gone, NotFound, UpstreamUnexpected
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.web_ui import WebUi
from addon.model import JobDetail, Run

SIDE_BY_SIDE = 4


@dataclass(frozen=True, slots=True)
class JobList:
    """Jobs of a run. `details` are by index, as far as they were read; `only` is the index of a single job."""

    run: Run
    details: Mapping[int, JobDetail]
    only: int | None = None


class ReadJobs:
    """Reads jobs."""

    def __init__(self, finder: RunFinder, waiting: Waiting, web_ui: WebUi, logs: JobLogs) -> None:
        self._finder, self._waiting, self._web_ui = finder, waiting, web_ui
        self._ranges = StepRanges(logs, LogReader(logs))

    def list(self, query: Query, caller: Caller, is_disconnected: IsDisconnected) -> JobList:
        """The run's jobs; with `steps`, each in detail; with `job`, only that one."""
        if query.job is not None:
            run = self.one(query, caller, is_disconnected, with_ranges=query.steps)
            return JobList(run, {run.detail.index: run.detail}, run.detail.index)
        if query.attempt is not None:
            raise BadRequest("attempt needs job: each job has attempts of its own")
        run = self._waiting.run(query, caller, is_disconnected)
        with trace.timed("forgejo"):
            return JobList(run, self._details(run, (job.index for job in run.jobs)) if query.steps else {})

    def one(self, query: Query, caller: Caller, is_disconnected: IsDisconnected, with_ranges: bool = True) -> Run:
        """The run with one job in detail; `with_ranges` also the place of its steps' lines in the log."""
        run = self._waiting.run(query, caller, is_disconnected)
        with trace.timed("forgejo"):
            run = self._finder.with_job(run, query.job or 0, query.attempt or NEWEST, caller)
            return replace(run, detail=self._with_ranges(run)) if with_ranges else run

    def attempts(self, query: Query, caller: Caller) -> JobList:
        """The jobs with their attempts. Raises NotFound for a version that does not number them (before v13)."""
        run = self._finder.to_read(query, caller, Reading(named_index(query)))
        if run.detail.attempts is None:
            raise NotFound("this Forgejo (before v13) does not tell a job's attempts; it shows the newest only")
        only = None if query.job is None else job_index(run, query.job)
        with trace.timed("forgejo"):
            wanted = [only] if only is not None else [job.index for job in run.jobs]
            return JobList(run, self._details(run, wanted), only)

    def _details(self, run: Run, jobs: Iterable[int]) -> Mapping[int, JobDetail]:
        """These jobs' own pages, read side by side."""
        wanted = list(jobs)
        check_count(run, wanted)
        with trace.pool(SIDE_BY_SIDE) as pool:
            pages = pool.map(lambda job: self._web_ui.run(run.repo, run.number, job).detail, wanted)
            return {detail.index: detail for detail in pages}

    def _with_ranges(self, run: Run) -> JobDetail:
        """The job's detail with the place of its steps' lines, unless there is no log, or it is too large."""
        if not run.detail.started:
            return run.detail
        try:
            _, ranges = self._ranges.find(run, range(len(run.detail.steps)))
        except (NotFound, Gone, UpstreamUnexpected):
            return run.detail
        return replace(run.detail, step_ranges=tuple(ranges))
