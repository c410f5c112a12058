"""Resolves run ids and job ids for a caller who may read or change Actions. Every use case by id starts here."""

from __future__ import annotations

from dataclasses import dataclass

from addon import trace
from addon.actions.by_id.errors import Archived, RouteAbsent, TargetMissing, no_job, no_run
from addon.actions.by_id.search import JobSearch
from addon.caller import Caller
from addon.errors import Conflict, NotFound, UpstreamUnexpected
from addon.forgejo.access import Access, Grant
from addon.forgejo.native_api import NativeApi, NoRunIds, RunIds
from addon.forgejo.web_ui import WebUi
from addon.model import Job, Repo, Run

# How often a page is read anew because jobs were added to the run meanwhile.
MOST_READS = 3


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run with its ids. `run` is None if it has no jobs, because its workflow is invalid: then it has no page."""

    ids: RunIds
    run: Run | None


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A job and its run, which shows the job's newest attempt in detail."""

    ids: RunIds
    grant: Grant
    run: Run

    @property
    def job(self) -> Job:
        """The job."""
        return self.run.jobs[self.run.detail.index]


class ByIdFinder:
    """Permission checks first. A run's id is resolved with the caller's own credentials; a job's by a search."""

    def __init__(self, access: Access, native_api: NativeApi, search: JobSearch, web_ui: WebUi) -> None:
        self._access, self._native_api, self._search, self._web_ui = access, native_api, search, web_ui

    def run(self, caller: Caller, repo: Repo, run_id: int, to_change: bool = False) -> FoundRun:
        """The run with this id."""
        grant = self._grant(caller, repo, to_change)
        with trace.timed("access"):
            ids = self._ids(grant, run_id) if run_id > 0 else None
        if ids is None:
            raise no_run(run_id)
        with trace.timed("forgejo"):
            run = self._search.page(grant.repo, ids.number)
        if run is not None:
            if run.id not in (None, run_id):
                raise UpstreamUnexpected("Forgejo's page shows another run than its API")
            self._search.remember(grant.repo, run.number, (job.id for job in run.jobs))
        return FoundRun(ids, run)

    def job(self, caller: Caller, repo: Repo, job_id: int, to_change: bool = False) -> FoundJob:
        """The job with this id."""
        grant = self._grant(caller, repo, to_change)
        with trace.timed("forgejo"):
            run = self._run_of(grant, job_id) if job_id > 0 else None
        if run is None:
            raise no_job(job_id)
        with trace.timed("access"):
            ids = self._ids(grant, run.id, run.number)
        if ids is None or run.id not in (None, ids.id):
            raise no_job(job_id)
        return FoundJob(ids, grant, run)

    def _grant(self, caller: Caller, repo: Repo, to_change: bool) -> Grant:
        try:
            with trace.timed("access"):
                if to_change:
                    repo = self._access.write(caller, repo).repo
                grant = self._access.read(caller, repo)
        except NotFound:
            raise TargetMissing from None
        except Conflict as error:
            raise Archived(error.message) from None
        if not grant.lists_runs:
            raise RouteAbsent
        return grant

    def _ids(self, grant: Grant, run_id: int | None, number: int | None = None) -> RunIds | None:
        try:
            if run_id is not None:
                return self._native_api.run(grant, run_id)
            return self._native_api.run_of_number(grant, number or 0)
        except NoRunIds:
            raise RouteAbsent from None

    def _run_of(self, grant: Grant, job_id: int) -> Run | None:
        number = self._search.number_of(grant, job_id)
        page = self._search.page(grant.repo, number) if number is not None else None
        run = self._in_detail(page, job_id) if page else None
        if run is None and number is not None:
            self._search.forget(grant.repo, job_id)
        return run

    def _in_detail(self, run: Run, job_id: int) -> Run | None:
        """The run with the newest attempt of this job in detail. The job's index may change between two reads."""
        for _ in range(MOST_READS):
            index = next((job.index for job in run.jobs if job.id == job_id), None)
            if index is None:
                return None
            try:
                run = self._web_ui.run(run.repo, run.number, index)
            except NotFound:
                return None
            if run.jobs[index].id == job_id:
                return run
        return None
