"""When a run ended and how long it took. A pure function.

Forgejo notes both when the first job fails or is cancelled, although other jobs still run. Every job that ends changes
the run, so the time of the run's last change is the end of its last job.
"""

from __future__ import annotations

from dataclasses import replace

from addon.model import Run, RunDetails, Status

# The states that a run can have while some of its jobs still run.
EARLY = (Status.FAILURE, Status.CANCELLED)


def true_times(run: Run, details: RunDetails) -> RunDetails:
    """The details with the end and the duration of the whole run; None until all of its jobs are done."""
    if not run.status.done:
        return details
    if not run.done:
        return replace(details, stopped_at=None, duration_seconds=None)
    stopped, changed, took = details.stopped_at, details.updated_at, details.duration_seconds
    if run.status not in EARLY or took is None:
        return details
    if stopped is None:  # before v12, whose list tells only the duration
        longest = max((job.duration_seconds or 0 for job in run.jobs), default=0)
        return details if took >= longest else replace(details, duration_seconds=None)
    if changed is None or changed <= stopped:
        return details
    return replace(details, stopped_at=changed, duration_seconds=took + (changed - stopped).total_seconds())
