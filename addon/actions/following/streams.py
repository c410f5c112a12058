"""Streams of events: of one job, or of several jobs of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

from addon.actions.following.events import End, Event, Heartbeat, Note
from addon.actions.following.follower import FinishedLog, Follower
from addon.actions.following.guard import Guard
from addon.actions.logs.read_logs import chosen_jobs
from addon.actions.polling import Snapshot, Subscription
from addon.errors import ApiError, InternalError, NotFound
from addon.model import Run, Status

# How many seconds to wait for news before the client's connection is checked: of one job, of several jobs.
WAIT_ONE, WAIT_SEVERAL = 1.0, 0.25
# How many jobs of a run are followed at once.
MOST_AT_ONCE = 16


def one(follower: Follower, guard: Guard) -> Iterator[Event]:
    """All events of one job."""
    while not follower.over:
        yield from follower.next_events(guard, WAIT_ONE)


def several(
    runs: Subscription[Run],
    failed: bool,
    open_job: Callable[[int], AbstractContextManager[Follower | FinishedLog]],
    guard: Guard,
) -> Iterator[tuple[int, Event]]:
    """All events of all jobs that have started, as they come; or of the jobs that failed, after their end.

    Each event comes with its job's index. Jobs may be added to a run while it runs.
    """
    with ExitStack() as stack:
        opened: dict[int, tuple[Follower | FinishedLog, ExitStack]] = {}
        over: set[int] = set()
        while not guard.is_disconnected() and not guard.is_stopping() and not guard.refused:
            snapshot = runs.wait(0, WAIT_ONE)
            run = snapshot.value
            yield from ((0, event) for event in _checked(snapshot, guard))
            if guard.refused or isinstance(snapshot.error, NotFound):
                return
            chosen = [] if run is None else [index for index in chosen_jobs(run, failed) if _has_started(run, index)]
            for index in [index for index in chosen if index not in over and index not in opened]:
                if len(opened) < MOST_AT_ONCE:
                    own = stack.enter_context(ExitStack())
                    opened[index] = own.enter_context(open_job(index)), own
            quiet = True
            for index, (follower, own) in sorted(opened.items()):
                for event in follower.next_events(guard, 0):
                    quiet = quiet and isinstance(event, Heartbeat)
                    yield index, event
                if follower.over:
                    own.close()
                    del opened[index]
                    over.add(index)
            if run is not None and run.done and over.issuperset(chosen):
                return
            if quiet:
                yield 0, Heartbeat()
                time.sleep(WAIT_SEVERAL)


def _checked(snapshot: Snapshot[Run], guard: Guard) -> Iterator[Event]:
    """The end of a run's stream, or the note that it waits, also while none of its jobs has a line."""
    status = snapshot.value.status if snapshot.value else Status.UNKNOWN
    try:
        if snapshot.error is not None:
            raise snapshot.error
        if (refusal := guard.refusal()) is not None:
            yield End("access", status, refusal)
    except NotFound as error:
        yield End("missing", status, error.message)
    except InternalError:
        raise
    except ApiError as error:
        if guard.has_just_failed(error):
            yield Note(f"{error.message}; waiting for it")


def _has_started(run: Run, index: int) -> bool:
    """Whether a job can have lines. Jobs that wait are not read one by one."""
    return run.jobs[index].status not in (Status.WAITING, Status.BLOCKED)
