"""What reruns and cancels share: checking whether a change that Forgejo accepted has happened."""

from __future__ import annotations

import time
from collections.abc import Callable

from addon.errors import UpstreamUnexpected
from addon.forgejo.web_ui import WebUi
from addon.model import Job, Run

# Forgejo stores the change before it answers, so the first check should succeed. The pause is in seconds.
CHECKS, PAUSE = 3, 0.2
NO_RIGHT = "Forgejo's pages don't offer this to the proxy's account: it may not write here, or the workflow is invalid"


def changed_run(web_ui: WebUi, run: Run, job: int, has_changed: Callable[[Run], bool]) -> Run | None:
    """The run with `job` in detail as soon as it has changed; None if it does not change soon."""
    for check in range(CHECKS):
        if check:
            time.sleep(PAUSE)
        now = web_ui.run(run.repo, run.number, job)
        if len(now.jobs) < len(run.jobs):
            raise UpstreamUnexpected("jobs of the run have vanished")
        if has_changed(now):
            return now
    return None


def unfinished(run: Run) -> tuple[Job, ...]:
    """The jobs that are not done."""
    return tuple(job for job in run.jobs if not job.status.done)
