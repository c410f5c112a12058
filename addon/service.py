"""The use cases. Each asks for access first; only the Grant that this returns leads to the administrator's session."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from addon.access import Access, Caller, Grant
from addon.artifacts import Artifacts
from addon.changes import Changes
from addon.errors import BadRequest, NotFound
from addon.explain import Explainer, Explanation
from addon.followservice import FollowLimits, FollowService
from addon.forgejo import Forgejo
from addon.joblogs import JobLogs
from addon.logservice import LogService
from addon.model import Job, JobDetail, Run, RunDetails
from addon.parameters import NEWEST
from addon.routes import Query

SIDE_BY_SIDE = 4


@dataclass(slots=True)
class Timings:
    """Seconds spent asking for access and reading Forgejo, for Server-Timing."""

    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds the time that the block takes."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + time.monotonic() - start


class Service:
    """What callers can ask of one Forgejo."""

    def __init__(
        self,
        access: Access,
        forgejo: Forgejo,
        logs: JobLogs,
        artifacts: Artifacts,
        default_attempt: str,
        limits: FollowLimits,
    ) -> None:
        """`default_attempt` is `1` or `latest`."""
        self._access = access
        self._forgejo = forgejo
        self.logs = LogService(self, forgejo, logs)
        self.artifacts = artifacts
        self.changes = Changes(forgejo, artifacts)
        self._explainer = Explainer(forgejo, logs, artifacts)
        self.following = FollowService(self, access, forgejo, logs, self.logs.reader, limits)
        self._default_attempt = NEWEST if default_attempt == "latest" else 1

    def info(self, query: Query, caller: Caller, timings: Timings) -> Run:
        """The run, with what the REST API adds."""
        grant = self._may_read(query, caller, timings, detail=True)
        with timings.part("forgejo"):
            run = self._run(query, grant)
        return self._with_details(run, grant, caller, timings)

    def jobs(self, query: Query, caller: Caller, timings: Timings) -> tuple[Run, Mapping[int, JobDetail], int | None]:
        """The run's jobs, the details of the asked one, and its index (None when all were asked for)."""
        grant = self._may_read(query, caller, timings)
        with timings.part("forgejo"):
            if query.job is None:
                if query.attempt is not None:
                    raise BadRequest("attempt needs job: each job has attempts of its own")
                return self._run(query, grant), {}, None
            run = self._with_job(self._run(query, grant), query.job, query.attempt or NEWEST)
        return run, {run.detail.index: run.detail}, run.detail.index

    def summary(self, query: Query, caller: Caller, timings: Timings) -> Explanation:
        """The run, why it failed, and its artifacts."""
        grant = self._may_read(query, caller, timings, detail=True)
        with timings.part("forgejo"):
            found = self._explainer.explain(self._run(query, grant), query.lines)
        return replace(found, run=self._with_details(found.run, grant, caller, timings))

    def run_of(self, query: Query, caller: Caller, timings: Timings) -> Run:
        """The run, for a caller who may read it."""
        grant = self._may_read(query, caller, timings)
        with timings.part("forgejo"):
            return self._run(query, grant)

    def job_of(self, query: Query, caller: Caller, timings: Timings) -> Run:
        """The run with one job in detail, the first if none is named, at the asked attempt or the default one."""
        run = self.run_of(query, caller, timings)
        with timings.part("forgejo"):
            return self._with_job(run, query.job or 0, self._attempt(query, run))

    def run_to_change(self, query: Query, caller: Caller, timings: Timings) -> Run:
        """The run, for a caller who may start and stop runs here."""
        with timings.part("access"):
            grant = self._access.write(caller, query.repo)
        with timings.part("forgejo"):
            return self._run(query, grant)

    def _may_read(self, query: Query, caller: Caller, timings: Timings, detail: bool = False) -> Grant:
        with timings.part("access"):
            return self._access.read(caller, query.repo, query.run if detail else None)

    def _run(self, query: Query, grant: Grant) -> Run:
        """The run that was asked for: by number, or the newest (of a workflow)."""
        number = query.run or self._latest(query, grant)
        job = query.job if isinstance(query.job, int) and query.action != "rerun" else 0
        run = self._forgejo.run(grant.repo, number, job)
        if query.workflow_id is not None and run.workflow_id != query.workflow_id:
            raise NotFound(f"run {number} is of workflow {run.workflow_id}, not of {query.workflow_id}")
        return run

    def _latest(self, query: Query, grant: Grant) -> int:
        if query.workflow_id is None:
            return self._forgejo.latest(grant.repo)
        return self._forgejo.latest_of_workflow(grant.repo, query.workflow_id)

    def _with_job(self, run: Run, job: int | str, attempt: int) -> Run:
        """The run with the asked job and attempt in detail; attempt 0 is the newest."""
        index = job_index(run, job)
        if index == run.detail.index and attempt in (NEWEST, run.detail.attempt):
            return run
        return self._forgejo.run(run.repo, run.number, index, attempt or None)

    def _attempt(self, query: Query, run: Run) -> int:
        """The asked attempt, else the default one; where attempts can't be told apart (before v13), the newest."""
        if query.attempt is not None:
            return query.attempt
        return NEWEST if run.detail.attempts is None else self._default_attempt

    def _with_details(self, run: Run, grant: Grant, caller: Caller, timings: Timings) -> Run:
        """Adds event and times: from the grant's answer, or another question with the caller's credentials."""
        with timings.part("access"):
            if grant.details is not None:
                details = grant.details
            elif grant.listed:
                details = self._access.read(caller, run.repo, run.number).details or RunDetails()
            else:
                details = RunDetails(event=self._access.event(caller, run.repo, run.number))
        return replace(run, details=details)


def job_index(run: Run, job: int | str) -> int:
    """The index of a job given by index or exact name. Raises NotFound, or BadRequest for an ambiguous name."""
    if isinstance(job, int):
        if job >= len(run.jobs):
            raise NotFound(f"run {run.number} has no job {job}; it has {len(run.jobs)}, counted from 0")
        return job
    found = [each.index for each in run.jobs if each.name == job]
    if not found:
        raise NotFound(f"run {run.number} has no job named {job!r}; it has: {_names(run.jobs)}")
    if len(found) > 1:
        raise BadRequest(f"several jobs are named {job!r}; give one of these indexes: {', '.join(map(str, found))}")
    return found[0]


def _names(jobs: Iterable[Job], limit: int = 20) -> str:
    names = [repr(job.name) for job in jobs]
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
