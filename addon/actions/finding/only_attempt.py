"""Whether a job has had one attempt only, which is the first then. For versions that do not number attempts.

From v9 on, the API lists the tasks of a repository: one for each attempt of a job that a runner has taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from addon.caller import Caller
from addon.errors import NotFound
from addon.forgejo.access import Access
from addon.forgejo.runs_api import MOST_PER_PAGE, MOST_TASK_PAGES, RunsApi
from addon.model import Run, Status

NEVER_TAKEN = (Status.WAITING, Status.BLOCKED, Status.SKIPPED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Attempts:
    """How many attempts the jobs of a run have had, by their names. `unknown` says why the counts are not known."""

    counts: Mapping[str, int]
    unknown: str = ""

    def check_only_one(self, run: Run, index: int) -> None:
        """Raises NotFound unless the job has had one attempt or none."""
        job = run.jobs[index]
        count = self.counts.get(job.name, 0)
        problem = self.unknown
        if not problem and sum(each.name == job.name for each in run.jobs) > 1:
            problem = "several jobs have its name, so it can't be told whether it was rerun"
        elif not problem and count > 1:
            problem = "it was rerun"
        elif not problem and count == 0 and job.status not in NEVER_TAKEN:
            problem = "Forgejo does not list its attempt"
        if problem:
            raise NotFound(
                f"attempt 1 of job {index} ({job.name}) can't be served: {problem}, and this Forgejo (before v13) "
                "shows only the newest attempt; leave attempt out, or give attempt=latest"
            )


def attempts_of(run: Run, caller: Caller, access: Access, runs_api: RunsApi) -> Attempts:
    """The attempts of a run's jobs, by what Forgejo tells the caller."""
    counts = runs_api.task_counts(access.read(caller, run.repo), run.number)
    if counts is None:
        return Attempts({}, "it can't be told whether it was rerun")
    if not counts.complete:
        newest = MOST_TASK_PAGES * MOST_PER_PAGE
        return Attempts({}, f"the newest {newest} tasks don't tell whether it was rerun")
    return Attempts(counts.by_job)
