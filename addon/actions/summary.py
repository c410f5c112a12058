"""The use case of a summary: why a run failed, by the failed steps' last lines and the annotations in the logs.

Many failed jobs and long logs must not make it expensive. So only the first failed jobs are explained, and only the end
of each log is read. What is missing says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from addon import trace
from addon.actions.annotations import LEVELS
from addon.actions.explain import Explain, Explanation, FailedJob, LocatedAnnotation
from addon.actions.finding.find_job import several_jobs
from addon.actions.query import FAILED, UNSUCCESSFUL, Query
from addon.actions.waiting import IsDisconnected, Waiting, check_connected
from addon.caller import Caller
from addon.forgejo.artifacts import ArtifactPages
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.web_ui import WebUi
from addon.limits import Limiter
from addon.model import Artifact, Job, JobDetail, Run, Status
from addon.quota import CpuQuota

SIDE_BY_SIDE = 4
MOST_JOBS = 10
MOST_ANNOTATIONS = 50
# Each summary needs some megabytes while it is made. One of these places is for all anonymous callers together. A
# summary of hostile logs takes much processor time, and two at once would slow down all other requests.
AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Summary:
    """A run and why it failed. `details` are by job index; `annotations` are of `annotations_found`, errors first."""

    run: Run
    details: Mapping[int, JobDetail]
    failed: tuple[FailedJob, ...]
    annotations: tuple[LocatedAnnotation, ...]
    annotations_found: int
    artifacts: tuple[Artifact, ...]

    @property
    def explained(self) -> int:
        """How many failed jobs are explained; they are the first ones."""
        return sum(each.explained for each in self.failed)

    def attempt(self, job: Job) -> int | None:
        """The attempt by which a failed job is explained. None if it isn't, and before v13."""
        detail = self.details.get(job.index)
        return detail.attempt if detail else None

    @property
    def rerun_tail(self) -> str:
        """The path below the run that reruns it: the jobs that failed or were cancelled, or all if there are none."""
        if self.failed and not any(job.status is Status.CANCELLED for job in self.run.jobs):
            return f"/rerun?job={FAILED}"
        return f"/rerun?job={UNSUCCESSFUL}" if self.failed else "/rerun"

    @property
    def rerun_deletes(self) -> bool:
        """Whether there are artifacts that a rerun would delete."""
        return self.run.rerun_deletes_artifacts and bool(self.artifacts)


class Summarize:
    """Makes summaries."""

    def __init__(
        self, waiting: Waiting, web_ui: WebUi, logs: JobLogs, artifacts: ArtifactPages, quota: CpuQuota
    ) -> None:
        self._waiting = waiting
        self._web_ui = web_ui
        self._explain = Explain(logs, quota)
        self._artifacts = artifacts
        self._limiter = Limiter("summaries", AT_ONCE)

    def summarize(self, query: Query, caller: Caller, is_disconnected: IsDisconnected) -> Summary:
        """The summary of a run, with the last `query.lines` lines of each failed step.

        A log that can't be read is mentioned in the summary; it is no error.
        """
        run = self._waiting.run_with_details(query, caller, is_disconnected)
        with trace.timed("forgejo"):
            return self._summarize(run, query.lines, is_disconnected)

    def _summarize(self, run: Run, lines: int, is_disconnected: IsDisconnected) -> Summary:
        def explain(job: Job) -> Explanation | None:
            check_connected(is_disconnected)
            return self._explained(run, job, lines)

        failed = sorted(several_jobs(run, UNSUCCESSFUL), key=lambda job: job.status is Status.CANCELLED)
        with self._limiter.acquire(), trace.pool(SIDE_BY_SIDE) as pool:
            artifacts = pool.submit(self._artifacts.list, run)
            read = [each for each in pool.map(explain, failed[:MOST_JOBS]) if each is not None]
            listed = artifacts.result()
        found = sorted(
            (annotation for each in read for annotation in each.annotations),
            key=lambda each: LEVELS.index(each.annotation.level),
        )
        others = (job for job in failed[MOST_JOBS:] if job.status is Status.FAILURE)
        return Summary(
            run=run,
            details={each.detail.index: each.detail for each in read},
            failed=(*(each.failed for each in read), *map(FailedJob, others)),
            annotations=tuple(found[:MOST_ANNOTATIONS]),
            annotations_found=len(found),
            artifacts=listed,
        )

    def _explained(self, run: Run, job: Job, lines: int) -> Explanation | None:
        """The explanation of a job. None for a cancelled job without a failed step, which explains nothing."""
        page = self._web_ui.in_detail(run, job)
        if job.status is Status.CANCELLED and not page.failed_steps:
            return None
        return self._explain.job(page, lines)
