"""The use cases. Each asks for access first; only the Grant that this returns leads to the administrator's session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from addon import trace
from addon.actions.changes import Changes
from addon.actions.finding.find_job import job_index
from addon.actions.finding.listing import Lister, Listing
from addon.actions.finding.selector import DEFAULT_READING, Reading, Selecting
from addon.actions.following.follow_logs import FollowLimits, FollowService
from addon.actions.logs.read_logs import LogService
from addon.actions.summary import Explainer, Explanation
from addon.actions.waiting import Left, Waiting
from addon.api.parameters import NEWEST
from addon.api.routes import Query
from addon.caller import Caller
from addon.errors import BadRequest, Gone, NotFound, RunNotFound, UpstreamUnexpected
from addon.forgejo.access import Access, Grant
from addon.forgejo.artifacts import Artifacts
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.runs_api import Rest
from addon.forgejo.web_ui import Forgejo
from addon.model import JobDetail, Run, RunDetails

SIDE_BY_SIDE = 4
# Jobs whose pages one request may ask for, and bytes of a log whose lines it may count.
MOST_JOBS, MOST_COUNTED = 100, 16 << 20


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
        self, access: Access, forgejo: Forgejo, logs: JobLogs, artifacts: Artifacts, rest: Rest, selecting: Selecting,
        waiting: Waiting, default_attempt: str, limits: FollowLimits,
    ) -> None:  # fmt: skip
        """`default_attempt` is `1` or `latest`."""
        self._access = access
        self._forgejo = forgejo
        self._rest, self._selecting, self._waiting = rest, selecting, waiting
        self._lister = Lister(access, rest, forgejo)
        self._job_logs = logs
        self.logs = LogService(self, forgejo, logs)
        self.artifacts = artifacts
        self.changes = Changes(forgejo, artifacts)
        self._explainer = Explainer(forgejo, logs, artifacts)
        self.following = FollowService(self, access, forgejo, logs, self.logs.reader, limits)
        self._default_attempt = NEWEST if default_attempt == "latest" else 1

    def info(self, query: Query, caller: Caller, timings: Timings, left: Left) -> Run:
        """The run, with what the REST API adds. `left` tells whether the client has gone, while it waits."""
        run, grant = self._watched(query, caller, timings, left, detail=True)
        return self._with_details(run, grant, timings)

    def jobs(
        self, query: Query, caller: Caller, timings: Timings, left: Left
    ) -> tuple[Run, Mapping[int, JobDetail], int | None]:
        """The run's jobs, the details that were asked for, and the index of the only one (None when all are meant)."""
        if query.job is not None:
            run = self.job(query, caller, timings, left)
            return run, {run.detail.index: run.detail}, run.detail.index
        if query.attempt is not None:
            raise BadRequest("attempt needs job: each job has attempts of its own")
        run, _ = self._watched(query, caller, timings, left)
        with timings.part("forgejo"):
            return run, self._details(run, (job.index for job in run.jobs)) if query.steps else {}, None

    def job(self, query: Query, caller: Caller, timings: Timings, left: Left) -> Run:
        """The run with one job in detail, its steps' log lines counted."""
        run, _ = self._watched(query, caller, timings, left)
        with timings.part("forgejo"):
            run = self._with_job(run, query.job or 0, query.attempt or NEWEST)
            return replace(run, detail=replace(run.detail, step_lengths=self._step_lengths(run)))

    def attempts(
        self, query: Query, caller: Caller, timings: Timings
    ) -> tuple[Run, Mapping[int, JobDetail], int | None]:
        """Like `jobs`, of a version that numbers attempts. Raises NotFound for one that doesn't."""
        run = self.run_of(query, caller, timings)
        if run.detail.attempts is None:
            raise NotFound("this Forgejo (before v13) does not tell a job's attempts; it shows the newest only")
        only = None if query.job is None else job_index(run, query.job)
        with timings.part("forgejo"):
            wanted = [only] if only is not None else [job.index for job in run.jobs]
            return run, self._details(run, wanted), only

    def runs(self, query: Query, caller: Caller, timings: Timings) -> Listing:
        """A page of the repository's runs, for a Forgejo that has no such list in its API."""
        grant = self._may_read(query, caller, timings)
        with timings.part("forgejo"):
            return self._lister.runs(query, grant)

    def explained(self, missing: RunNotFound, query: Query, caller: Caller) -> NotFound:
        """The same error; with a hint when the number is a run's database id, and the caller may see that run."""
        if missing.number is None or missing.number != query.run:
            return missing
        number = self._rest.number_of(self._access.read(caller, query.repo), missing.number)
        if number is None:
            return missing
        return NotFound(
            f"no run {query.run}: this path takes the run number seen in the web page's URL, and {query.run} is the "
            f"database id of run {number}; ask for runs/{number}"
        )

    def summary(self, query: Query, caller: Caller, timings: Timings, left: Left) -> Explanation:
        """The run, why it failed, and its artifacts."""
        run, grant = self._watched(query, caller, timings, left, detail=True)
        with timings.part("forgejo"):
            found = self._explainer.explain(run, query.lines)
        return replace(found, run=self._with_details(found.run, grant, timings))

    def run_of(self, query: Query, caller: Caller, timings: Timings, reading: Reading = DEFAULT_READING) -> Run:
        """The run, for a caller who may read it."""
        grant = self._may_read(query, caller, timings)
        with timings.part("forgejo"):
            return self._selecting.run(query, grant, reading)

    def job_of(self, query: Query, caller: Caller, timings: Timings) -> Run:
        """The run with one job in detail, the first if none is named, at the asked attempt or the default one."""
        first = query.attempt == 1 or (query.attempt is None and self._default_attempt == 1)
        run = self.run_of(query, caller, timings, Reading(first))
        with timings.part("forgejo"):
            return self._with_job(run, query.job or 0, self._attempt(query, run))

    def run_to_change(self, query: Query, caller: Caller, timings: Timings) -> Run:
        """The run, for a caller who may start and stop runs here."""
        with timings.part("access"):
            grant = self._access.write(caller, query.repo)
        with timings.part("forgejo"):
            return self._selecting.run(query, grant)

    def login(self, caller: Caller) -> str | None:
        """Who asks, where Forgejo tells it: for the record of who changed something."""
        return self._access.login(caller)

    def _may_read(self, query: Query, caller: Caller, timings: Timings, detail: bool = False) -> Grant:
        with timings.part("access"):
            return self._access.read(caller, query.repo, query.run if detail else None)

    def _watched(
        self, query: Query, caller: Caller, timings: Timings, left: Left, detail: bool = False
    ) -> tuple[Run, Grant]:
        """The run, waited for if that was asked. Who has waited is granted access anew, and gets new details."""
        self._waiting.check(query)
        grant = self._may_read(query, caller, timings, detail)
        told: list[Future[RunDetails]] = []
        with trace.pool(1) as pool, timings.part("wait" if query.wait else "forgejo"):
            ask: Callable[[int], object] = lambda number: told.append(pool.submit(self._told, grant, number))  # noqa: E731
            first_will_do = query.job is None and not query.steps
            reading = Reading(first_will_do, ask) if detail and grant.details is None else Reading(first_will_do)
            run, waited = self._waiting.run(query, grant, left, reading)
        if waited:
            with timings.part("access"):
                return run, self._access.read(caller, run.repo, run.number if detail else None)
        return run, replace(grant, details=told[0].result()) if told else grant

    def _details(self, run: Run, jobs: Iterable[int]) -> Mapping[int, JobDetail]:
        """These jobs' own pages, read side by side."""
        wanted = list(jobs)
        if len(wanted) > MOST_JOBS:
            raise BadRequest(f"run {run.number} has {len(wanted)} jobs, more than {MOST_JOBS}; ask for one by job=")
        with trace.pool(SIDE_BY_SIDE) as pool:
            pages = pool.map(lambda job: self._forgejo.run(run.repo, run.number, job).detail, wanted)
            return {detail.index: detail for detail in pages}

    def _step_lengths(self, run: Run) -> tuple[int, ...] | None:
        """How many lines of the log each step has; None without a log, or for one too large to be counted."""
        if not run.detail.started:
            return None
        try:
            log = self._job_logs.open(run, "HEAD")
            if log.body is not None:
                log.body.close()
            if int(log.headers.get("content-length", "0")) > MOST_COUNTED:
                return None
            return self._job_logs.step_lengths(run)
        except (NotFound, Gone, UpstreamUnexpected):
            return None

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

    def _with_details(self, run: Run, grant: Grant, timings: Timings) -> Run:
        """Adds event and times: from the grant's answer, or another question with the caller's credentials."""
        with timings.part("access"):
            return replace(run, details=grant.details or self._told(grant, run.number))

    def _told(self, grant: Grant, number: int) -> RunDetails:
        """What the REST API tells of a run."""
        if grant.listed:
            return self._access.read(grant.caller, grant.repo, number).details or RunDetails()
        return RunDetails(event=self._rest.event(grant, number))
