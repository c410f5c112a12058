"""Streams of events: of one job, or of several jobs of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack

from addon.actions.finding.find_job import MOST_JOBS, several_jobs
from addon.actions.following.events import End, Event, Heartbeat, Note, StatusChanged
from addon.actions.following.follower import FinishedLog, Follower
from addon.actions.following.guard import Guard
from addon.actions.polling import Subscription
from addon.errors import ApiError, InternalError, NotFound
from addon.model import Job, Run, Status

# How many seconds to wait for news before the client's connection is checked: of one job, of several jobs.
WAIT_ONE, WAIT_SEVERAL = 1.0, 0.25
# How many jobs of a run are followed at once.
MOST_AT_ONCE = 16

# An event, and the index of its job; None for the run.
JobEvent = tuple[int | None, Event]
OpenJob = Callable[[Job], AbstractContextManager[Follower | FinishedLog]]


def one(index: int, follower: Follower, guard: Guard) -> Generator[JobEvent, None, None]:
    """All events of one job."""
    while not follower.over:
        for event in follower.next_events(guard, WAIT_ONE):
            yield index, event


def several(runs: Subscription[Run], which: str, open_job: OpenJob, guard: Guard) -> Generator[JobEvent, None, None]:
    """All events of all jobs, as they come; or of the failed jobs (FAILED, UNSUCCESSFUL), after each one's end.

    The last event is the run's end. Jobs may be added to a run while it runs, and up to MOST_JOBS are followed.
    """
    with _Jobs(open_job, guard) as jobs:
        while not guard.is_disconnected():
            snapshot = runs.wait(0, WAIT_ONE)
            run = snapshot.value
            try:
                if guard.is_stopping():
                    yield None, End("stopping", _status(run), "the proxy is being stopped")
                    return
                if snapshot.error is not None:
                    raise snapshot.error
                if (refusal := guard.refusal()) is not None:
                    yield None, End("access", _status(run), refusal)
                    return
            except NotFound as error:
                yield None, End("missing", _status(run), error.message)
                return
            except InternalError:
                raise
            except ApiError as error:
                if guard.has_just_failed(error):
                    yield None, Note(f"{error.message}; waiting for it")
            if run is not None:
                chosen = several_jobs(run, which)[:MOST_JOBS]
                yield from jobs.update(chosen)
            yield from jobs.events()
            if guard.refused:
                yield None, End("access", _status(run), guard.refused)
                return
            if run is not None and snapshot.error is None and run.done and jobs.are_over(chosen):
                yield None, End("done", run.status)
                return
            if jobs.quiet:
                yield None, Heartbeat()
                time.sleep(WAIT_SEVERAL)


class _Jobs:
    """The jobs of a run that are followed, by id: since v14 Forgejo may replace jobs, and indexes shift."""

    def __init__(self, open_job: OpenJob, guard: Guard) -> None:
        self.quiet = True
        self._over: set[int] = set()
        self._indexes: dict[int, int] = {}
        self._open_job, self._guard = open_job, guard
        self._opened: dict[int, tuple[Follower | FinishedLog, ExitStack]] = {}
        self._waiting: dict[int, Status] = {}

    def __enter__(self) -> _Jobs:
        return self

    def __exit__(self, *exception: object) -> None:
        for _, own in self._opened.values():
            own.close()

    def are_over(self, jobs: Sequence[Job]) -> bool:
        """Whether none of these jobs will bring anything more."""
        return all(job.id in self._over for job in jobs)

    def update(self, chosen: Sequence[Job]) -> Iterator[JobEvent]:
        """Opens jobs that have started. Jobs that wait are not read one by one: the run's page has their states."""
        self._indexes |= {job.id: job.index for job in chosen}
        for job in chosen:
            if job.id in self._over or job.id in self._opened:
                continue
            if job.status in (Status.WAITING, Status.BLOCKED):
                if self._waiting.get(job.id) is not job.status:
                    self._waiting[job.id] = job.status
                    yield job.index, StatusChanged(job.status)
            elif len(self._opened) < MOST_AT_ONCE:
                yield from self._open(job)

    def events(self) -> Iterator[JobEvent]:
        """The new events of the opened jobs. `quiet` says afterwards whether there were none."""
        self.quiet = True
        for job_id, (follower, own) in sorted(self._opened.items(), key=lambda item: self._indexes[item[0]]):
            for event in follower.next_events(self._guard, 0):
                self.quiet = self.quiet and isinstance(event, Heartbeat)
                yield self._indexes[job_id], event
            if follower.over:
                own.close()
                del self._opened[job_id]
                self._over.add(job_id)

    def _open(self, job: Job) -> Iterator[JobEvent]:
        own = ExitStack()
        try:
            self._opened[job.id] = own.enter_context(self._open_job(job)), own
        except InternalError:
            raise
        except ApiError as error:  # it is opened again in the next round
            if self._guard.has_just_failed(error):
                yield job.index, Note(f"{error.message}; waiting for it")


def _status(run: Run | None) -> Status:
    return run.status if run is not None else Status.UNKNOWN
