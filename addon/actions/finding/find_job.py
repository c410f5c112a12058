"""Finds a job of a run by index or exact name."""

from __future__ import annotations

from collections.abc import Iterable

from addon.errors import BadRequest, NotFound
from addon.model import Job, Run


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


def _names(jobs: Iterable[Job], limit: int = 20) -> str:
    names = [repr(job.name) for job in jobs]
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
