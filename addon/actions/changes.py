"""What reruns and cancels share: who makes the change, and when; whether what Forgejo accepted has happened."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from addon import trace
from addon.errors import Conflict
from addon.forgejo.artifacts import ArtifactPages
from addon.forgejo.web_ui import WebUi
from addon.model import Artifact, Job, Run

# Forgejo stores the change before it answers, so the first check should succeed. The pause is in seconds.
CHECKS, PAUSE = 3, 0.2
SIDE_BY_SIDE = 4
# How many runs are remembered whose last change is known.
MOST_REMEMBERED = 1000
NO_RIGHT = "Forgejo's pages don't offer this to the proxy's account: it may not write here, or the workflow is invalid"


class RunChanges(Protocol):
    """Changes runs, and reads them before and after: as the caller himself, or with the administrator's session."""

    def again(self, run: Run, job: Job) -> Run:
        """The run's present state, if possible with this job in detail."""

    def rerun(self, run: Run, job: Job | None) -> int | None:
        """Requests a rerun of the run or of one job.

        Returns the new attempt of that job, or of the first one, if Forgejo names it.
        """

    def cancel(self, run: Run) -> None:
        """Requests a cancel of the run."""

    def artifacts(self, run: Run) -> tuple[Artifact, ...]:
        """The run's artifacts."""

    def in_order(self, run: Run, jobs: Sequence[Job]) -> list[Job]:
        """The jobs in an order in which none comes before one that it needs.

        Forgejo does not show what a job needs. But a job starts after the jobs that it needs have ended, so the
        order of their starts will do.
        """


class BySession:
    """Changes with the administrator's session, on every version."""

    def __init__(self, web_ui: WebUi, artifacts: ArtifactPages) -> None:
        self.again, self.rerun, self.cancel = web_ui.same_job, web_ui.rerun, web_ui.cancel
        self.artifacts = artifacts.list
        self._web_ui = web_ui

    def in_order(self, run: Run, jobs: Sequence[Job]) -> list[Job]:
        """See RunChanges."""
        with trace.pool(SIDE_BY_SIDE) as pool:
            started = pool.map(lambda job: self._web_ui.job_started(run, job.index), jobs)
            starts = {
                job.id: start.timestamp() if start else math.inf for job, start in zip(jobs, started, strict=True)
            }
        return sorted(jobs, key=lambda job: (starts[job.id], job.index))


class Turns:
    """Lets only one change of a run happen at a time. The next one must not go by what it has read before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: set[object] = set()
        self._last: dict[object, int] = {}  # by run, the number of its last change
        self.count = 0

    @contextmanager
    def turn(self, run: Run, since: int) -> Iterator[bool]:
        """Yields whether the run has been changed since `count` had this value. Raises Conflict for a second change."""
        key = (run.repo.owner.lower(), run.repo.name.lower(), run.number)
        with self._lock:
            if key in self._under_way:
                raise Conflict(f"run {run.number} is being changed by another request; look at it, and try again")
            self._under_way.add(key)
            is_newer = self._last.get(key, 0) > since
        try:
            yield is_newer
        finally:
            with self._lock:
                self._under_way.remove(key)
                self.count += 1
                self._last.pop(key, None)
                self._last[key] = self.count
                if len(self._last) > MOST_REMEMBERED:
                    del self._last[next(iter(self._last))]


def changed_run(again: Callable[[Run, Job], Run], run: Run, job: Job, has_changed: Callable[[Run], bool]) -> Run | None:
    """The run as soon as it has changed; None if it does not change soon. `again` reads it, with `job` in detail."""
    for check in range(CHECKS):
        if check:
            time.sleep(PAUSE)
        now = again(run, job)
        if has_changed(now):
            return now
    return None


def unfinished(run: Run) -> tuple[Job, ...]:
    """The jobs that are not done."""
    return tuple(job for job in run.jobs if not job.status.done)
