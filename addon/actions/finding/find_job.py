"""Finds jobs of a run: one by index or exact name, or several by their state. Bounds how many are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized

from addon.actions.query import FAILED, UNSUCCESSFUL
from addon.errors import BadRequest, NotFound
from addon.model import Job, Run, Status

# The states of the jobs that a word means; ALL means every state.
STATES: Mapping[str, frozenset[Status]] = {
    FAILED: frozenset({Status.FAILURE}),
    UNSUCCESSFUL: frozenset({Status.FAILURE, Status.CANCELLED}),
}

# The most jobs that are read one by one for a request. Each costs Forgejo up to three requests.
MOST_JOBS = 100


def job_index(run: Run, job: int | str) -> int:
    """The index of a job that is named by index or exact name. Raises NotFound, or BadRequest for an ambiguous name."""
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


def several_jobs(run: Run, which: str) -> tuple[Job, ...]:
    """The jobs that ALL, FAILED or UNSUCCESSFUL means."""
    states = STATES.get(which)
    return tuple(job for job in run.jobs if states is None or job.status in states)


def check_count(run: Run, wanted: Sized) -> None:
    """Raises BadRequest if these are more jobs than are read one by one for a request."""
    if len(wanted) > MOST_JOBS:
        raise BadRequest(
            f"these are {len(wanted)} jobs of run {run.number}, more than {MOST_JOBS} for one request; "
            "ask for one by job="
        )


def no_such_jobs(run: Run, which: str) -> str:
    """The message for a run without jobs that FAILED or UNSUCCESSFUL means."""
    return f"no job of run {run.number} {'failed' if which == FAILED else 'failed or was cancelled'}"


def listed(jobs: Iterable[Job], limit: int = 20) -> str:
    """The jobs for a message, as `0 (build), 2 (test)`."""
    words = [f"{job.index} ({job.name})" for job in jobs]
    return ", ".join(words[:limit] + ["…"] * (len(words) > limit))


def _names(jobs: Iterable[Job], limit: int = 20) -> str:
    names = [repr(job.name) for job in jobs]
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
