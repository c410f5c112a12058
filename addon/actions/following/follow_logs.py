"""The use case of following: one job's log, all jobs', or those of the jobs that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from addon.actions.following import follower as streams
from addon.actions.following.events import Event, Place
from addon.actions.following.feed import Feed, Feeds
from addon.actions.following.follower import Finished, Follower
from addon.actions.following.guard import Guard
from addon.actions.logs.reader import LogReader, Options
from addon.actions.polling import Pollers
from addon.api.parameters import ALL, FAILED, NEWEST
from addon.api.routes import Query
from addon.caller import Caller
from addon.errors import BadRequest, Gone, NotFound
from addon.forgejo.access import Access
from addon.forgejo.job_logs import JobLogs, not_started
from addon.forgejo.web_ui import Forgejo
from addon.limits import Gate
from addon.model import Job, Run, Status

if TYPE_CHECKING:
    from addon.actions.service import Service, Timings

# Seconds between two looks at a log; a line is seen within the second.
LOG_PAUSES = 0.3, 0.8
RUN_PAUSES = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class FollowLimits:
    """How many may follow at once, and how many seconds Forgejo's yes to one of them holds."""

    followers: int = 1
    recheck: float = 50.0


@dataclass(slots=True)
class Following:
    """A stream of events, and what is known while it goes on. `many` says whether it is of several jobs.

    It holds a follower's place until `close` is called.
    """

    run: Run
    many: bool
    places: Mapping[int, Place]
    close: Callable[[], None]
    events: Iterator[tuple[int, Event]] = field(default_factory=lambda: iter(()))
    status: Status = field(init=False)

    def __post_init__(self) -> None:
        self.status = self.run.status if self.many else self.run.jobs[self.run.detail.index].status

    def job(self, index: int) -> Job:
        """A job as it was last seen."""
        return self.run.jobs[index]


class FollowService:
    """Who follows what. `stopping` is set when streams should come to their end."""

    def __init__(
        self,
        service: Service,
        access: Access,
        forgejo: Forgejo,
        logs: JobLogs,
        reader: LogReader,
        limits: FollowLimits,
    ) -> None:
        self.stopping = False
        self._service = service
        self._access = access
        self._forgejo = forgejo
        self._reader = reader
        self._feeds = Feeds(forgejo, logs, reader)
        self._jobs = Pollers[Feed]("job", *LOG_PAUSES)
        self._runs = Pollers[Run]("run", *RUN_PAUSES)
        self._gate = Gate("followers", limits.followers)
        self._recheck = limits.recheck

    def follow(
        self, query: Query, caller: Caller, timings: Timings, places: Mapping[int, Place], gone: Callable[[], bool]
    ) -> Following:
        """Begins to follower. `places` are those of a stream that broke off; `gone` tells that the client has left."""
        options = Options.of(query)
        many = query.job in (ALL, FAILED)
        if options.failed and query.job != FAILED:
            raise BadRequest("failed_steps goes with follow only for job=failed: which step fails isn't known before")
        run = self._run(query, caller, timings, places, many)
        guard = Guard(lambda: self._access.read(caller, run.repo), gone, lambda: self.stopping, self._recheck)
        following = Following(run, many, places, self._gate.take().free)
        following.events = (self._several if many else self._one)(following, query, options, guard)
        return following

    def _run(self, query: Query, caller: Caller, timings: Timings, places: Mapping[int, Place], many: bool) -> Run:
        if many:
            return self._service.run_of(query, caller, timings)
        attempt = query.attempt
        if attempt is None:  # the newest, unless a stream of another is taken up again
            attempt = next((place.attempt for place in places.values()), NEWEST)
        run = self._service.job_of(replace(query, attempt=attempt), caller, timings)
        if run.jobs[run.detail.index].status.done and not run.detail.started:
            raise not_started(run)
        return run

    def _one(self, following: Following, query: Query, options: Options, guard: Guard) -> Iterator[tuple[int, Event]]:
        index = following.run.detail.index
        with self._follower(following.run, options, following.places.get(index)) as follower:
            for event in streams.one(follower, guard):
                following.status = follower.status
                yield index, event

    def _several(
        self, following: Following, query: Query, options: Options, guard: Guard
    ) -> Iterator[tuple[int, Event]]:
        first = following.run

        def look(before: Run | None) -> Run:
            return first if before is None else self._forgejo.refreshed(before)

        @contextmanager
        def open_job(index: int) -> Iterator[Follower | Finished]:
            run = self._forgejo.run(first.repo, first.number, index)
            if query.job == FAILED:
                yield Finished(self._reader.read(run, options), run.jobs[index].status)
                return
            with self._follower(run, options, following.places.get(index)) as follower:
                yield follower

        with self._runs.watch(_key(first), look) as watch:
            for index, event in streams.several(watch, query.job == FAILED, open_job, guard):
                following.run = watch.after(0, 0).value or first
                following.status = following.run.status
                yield index, event

    @contextmanager
    def _follower(self, run: Run, options: Options, place: Place | None) -> Iterator[Follower]:
        if place is None:
            place = self._start(run, options)
        by_step = options.step is not None
        with self._jobs.watch((*_key(run), *self._identity(run), by_step), self._feeds.look(run, by_step)) as watch:
            yield Follower(self._reader, watch, options, place)

    def _start(self, run: Run, options: Options) -> Place:
        """The log's beginning, or with `tail` the place of its last lines now."""
        if options.tail is None or options.step is not None:
            return Place()
        try:
            byte, _ = self._reader.last_lines(run, options.tail)
        except (NotFound, Gone):  # there is none yet; or it has expired, which the stream will say
            return Place()
        return Place(byte=byte, line=0 if byte == 0 else None)

    def _identity(self, run: Run) -> tuple[object, ...]:
        """What tells one attempt of a job from another: before v13 only the task, which the log's name holds."""
        detail = run.detail
        if detail.attempts is not None or not detail.started:
            return detail.index, detail.attempt, detail.started
        try:
            return detail.index, self._reader.end(run, 1).task
        except (NotFound, Gone):
            return detail.index, detail.started


def _key(run: Run) -> tuple[object, ...]:
    return run.repo.owner.lower(), run.repo.name.lower(), run.number
