"""The use cases of jobs: all jobs of a run, one job in detail, and a job's attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from addon import trace
from addon.actions.finding.find_job import check_count, job_index
from addon.actions.finding.run_finder import RunFinder, named_index
from addon.actions.finding.run_selector import Reading
from addon.actions.logs.reader import LogReader
from addon.actions.logs.step_ranges import StepRanges
from addon.actions.query import NEWEST, Query
from addon.actions.waiting import IsDisconnected, Waiting, check_connected
from addon.caller import Caller
from addon.errors import BadRequest, Gone, NotFound, UpstreamUnexpected
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.native_api import JobFacts
from addon.forgejo.web_ui import WebUi
from addon.model import Job, JobDetail, Run

SIDE_BY_SIDE = 4


@dataclass(frozen=True, slots=True)
class JobList:
    """Jobs of a run. `details` are by index, as far as they were read; `only` is the index of a single job.

    `page` are the jobs on the page that was asked for; None if no page was.
    """

    run: Run
    details: Mapping[int, JobDetail]
    only: int | None = None
    page: Sequence[Job] | None = None

    @property
    def chosen(self) -> Sequence[Job]:
        """All jobs, or the single one."""
        return self.run.jobs if self.only is None else (self.run.jobs[self.only],)

    @property
    def shown(self) -> Sequence[Job]:
        """The jobs on the page."""
        return self.chosen if self.page is None else self.page


class ReadJobs:
    """Reads jobs."""

    def __init__(self, finder: RunFinder, waiting: Waiting, web_ui: WebUi, logs: JobLogs, facts: JobFacts) -> None:
        self._finder, self._waiting, self._web_ui, self._facts = finder, waiting, web_ui, facts
        self._ranges = StepRanges(logs, LogReader(logs))

    def list(self, query: Query, caller: Caller, is_disconnected: IsDisconnected) -> JobList:
        """The run's jobs; with `steps`, each in detail; with `job`, only that one."""
        if query.job is not None:
            run = self.one(query, caller, is_disconnected, with_ranges=query.steps)
            only = run.jobs[run.detail.index]
            return JobList(run, {only.index: run.detail}, only.index, query.of_page((only,)))
        if query.attempt is not None:
            raise BadRequest("attempt needs job: each job has attempts of its own")
        run, grant = self._waiting.run_and_grant(query, caller, is_disconnected)
        with trace.timed("access"):
            run = self._facts.of_run(grant, run)
        with trace.timed("forgejo"):
            page = query.of_page(run.jobs)
            details = self._details(run, page, is_disconnected) if query.steps else {}
            return JobList(run, details, page=page)

    def one(self, query: Query, caller: Caller, is_disconnected: IsDisconnected, with_ranges: bool = True) -> Run:
        """The run with one job in detail; `with_ranges` also the place of its steps' lines in the log."""
        run, grant = self._waiting.run_and_grant(query, caller, is_disconnected)
        with trace.timed("forgejo"):
            job = query.job if isinstance(query.job, str) else run.detail.index  # a job's index may have changed
            run = self._finder.with_job(run, job, query.attempt or NEWEST, caller)
            run = replace(run, detail=self._with_ranges(run)) if with_ranges else run
        with trace.timed("access"):
            return self._facts.of_job(grant, self._facts.of_run(grant, run))

    def attempts(self, query: Query, caller: Caller, is_disconnected: IsDisconnected) -> JobList:
        """The jobs with their attempts. Raises NotFound for a version that does not number them (before v13)."""
        run = self._finder.to_read(query, caller, Reading(named_index(query)))
        if run.detail.attempts is None:
            raise NotFound("this Forgejo (before v13) does not tell a job's attempts; it shows the newest only")
        only = None if query.job is None else job_index(run, query.job)
        with trace.timed("forgejo"):
            page = query.of_page(run.jobs if only is None else (run.jobs[only],))
            return JobList(run, self._details(run, page, is_disconnected), only, page)

    def _details(self, run: Run, jobs: Sequence[Job], is_disconnected: IsDisconnected) -> Mapping[int, JobDetail]:
        """These jobs in detail, each at its newest attempt. Their pages are read side by side."""

        def detail(job: Job) -> JobDetail:
            check_connected(is_disconnected)
            return self._web_ui.in_detail(run, job).detail

        check_count(run, jobs)
        with trace.pool(SIDE_BY_SIDE) as pool:
            return {job.index: found for job, found in zip(jobs, pool.map(detail, jobs), strict=True)}

    def _with_ranges(self, run: Run) -> JobDetail:
        """The job's detail with the place of its steps' lines, unless there is no log, or it is too large."""
        if not run.detail.started:
            return run.detail
        try:
            _, ranges = self._ranges.find(run, range(len(run.detail.steps)))
        except (NotFound, Gone, UpstreamUnexpected):
            return run.detail
        return replace(run.detail, step_ranges=tuple(ranges))
