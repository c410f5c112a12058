"""The use case of following: one job's log, all jobs' logs, or the logs of the jobs that fail."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from addon.actions.finding.find_job import check_count, several_jobs
from addon.actions.finding.run_finder import RunFinder
from addon.actions.following import streams
from addon.actions.following.events import Cursor
from addon.actions.following.feed import Feed, Feeds
from addon.actions.following.follower import FinishedLog, Follower
from addon.actions.following.guard import Guard
from addon.actions.following.step_feed import StepFeeds
from addon.actions.following.streams import JobEvent
from addon.actions.logs.options import LogOptions
from addon.actions.logs.reader import LogReader
from addon.actions.logs.wanted_lines import WantedLines
from addon.actions.polling import Pollers
from addon.actions.query import ALL, FAILED, NEWEST, SEVERAL, UNSUCCESSFUL, Query
from addon.caller import Caller
from addon.errors import BadRequest, Gone, NotFound
from addon.forgejo.access import Access
from addon.forgejo.job_logs import JobLogs, not_started
from addon.forgejo.web_ui import WebUi
from addon.limits import Limiter
from addon.model import Job, Run

# The shortest and longest pause between two polls, in seconds: a line arrives within a second.
LOG_PAUSES = 0.3, 0.8
RUN_PAUSES = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class FollowLimits:
    """How many clients may follow at once, and after how many seconds access is checked again."""

    followers: int = 1
    recheck: float = 50.0


@dataclass(slots=True)
class Following:
    """A stream of events, each with its job's index (None for the run), and the state of the run so far.

    `several` says that it is about several jobs. `cursors` are the positions at which a resumed stream begins, by
    job. It holds a follower's slot, and open logs, until `close` is called.
    """

    run: Run
    several: bool
    cursors: Mapping[int, Cursor]
    close: Callable[[], None]
    events: Iterator[JobEvent] = field(default_factory=lambda: iter(()))

    def job(self, index: int) -> Job:
        """A job as it was last seen."""
        return self.run.jobs[index]


class FollowLogs:
    """Follows logs. Set `stopping` to end all streams."""

    def __init__(self, finder: RunFinder, access: Access, web_ui: WebUi, logs: JobLogs, limits: FollowLimits) -> None:
        self.stopping = False
        self._finder, self._access, self._web_ui = finder, access, web_ui
        self._reader, self._lines = LogReader(logs), WantedLines(logs)
        self._feeds = Feeds(web_ui, self._reader, StepFeeds(logs, self._reader))
        self._jobs = Pollers[Feed]("job log poller", *LOG_PAUSES)
        self._runs = Pollers[Run]("followed run poller", *RUN_PAUSES)
        self._limiter = Limiter("followers", limits.followers)
        self._recheck = limits.recheck

    def follow(
        self, query: Query, caller: Caller, cursors: Mapping[int, Cursor], is_disconnected: Callable[[], bool]
    ) -> Following:
        """Starts to follow. `cursors` are the positions of a stream that is resumed, by job."""
        options = LogOptions.of(query)
        several = query.job in SEVERAL
        if options.failed and query.job not in (FAILED, UNSUCCESSFUL):
            raise BadRequest(
                f"failed_steps goes with follow only for job={FAILED} or job={UNSUCCESSFUL}: "
                "which step fails isn't known before"
            )
        with ExitStack() as stack:
            stack.enter_context(self._limiter.acquire())  # first: who gets no slot costs Forgejo nothing
            run = self._run(query, caller, cursors, several)
            if several:
                check_count(run, several_jobs(run, str(query.job)))
            guard = Guard(
                lambda: self._access.read(caller, run.repo), is_disconnected, lambda: self.stopping, self._recheck
            )
            following = Following(run, several, cursors, lambda: None)
            events = (self._several if several else self._one)(following, query, options, guard, stack)
            following.events = events
            stack.callback(events.close)  # not left to the garbage collector, which may run while a lock is held
            following.close = stack.pop_all().close
        return following

    def _run(self, query: Query, caller: Caller, cursors: Mapping[int, Cursor], several: bool) -> Run:
        if several:
            return self._finder.to_read(query, caller)
        attempt = query.attempt
        if attempt is None:  # the newest, or the one of the stream that is resumed
            attempt = next((cursor.attempt for cursor in cursors.values()), NEWEST)
        run = self._finder.job_to_read(replace(query, attempt=attempt), caller)
        if run.jobs[run.detail.index].status.done and not run.detail.started:
            raise not_started(run)
        return run

    def _one(
        self, following: Following, query: Query, options: LogOptions, guard: Guard, stack: ExitStack
    ) -> Generator[JobEvent, None, None]:
        """The events of one job. What fails before the first one is raised now."""
        run = following.run
        cursor = following.cursors.get(run.detail.index)
        return streams.one(run.detail.index, stack.enter_context(self._follower(run, options, cursor)), guard)

    def _several(
        self, following: Following, query: Query, options: LogOptions, guard: Guard, stack: ExitStack
    ) -> Generator[JobEvent, None, None]:
        first, which = following.run, str(query.job)

        def poll(before: Run | None) -> Run:
            return first if before is None else self._web_ui.refreshed(before, any_job=True)

        @contextmanager
        def open_job(job: Job) -> Iterator[Follower | FinishedLog]:
            run = self._web_ui.same_job(first, job)
            if which != ALL:
                yield FinishedLog(self._lines.read(run, options), run.jobs[run.detail.index].status)
                return
            with self._follower(run, options, following.cursors.get(job.index)) as follower:
                yield follower

        subscription = stack.enter_context(self._runs.subscribe(_key(first), poll))

        def events() -> Generator[JobEvent, None, None]:
            for event in streams.several(subscription, which, open_job, guard):
                following.run = subscription.wait(0, 0).value or first
                yield event

        return events()

    @contextmanager
    def _follower(self, run: Run, options: LogOptions, cursor: Cursor | None) -> Iterator[Follower]:
        if cursor is None:
            cursor = self._start(run, options)
        key = (*_key(run), *self._identity(run), options.step)
        with self._jobs.subscribe(key, self._feeds.poll(run, options.step)) as subscription:
            yield Follower(self._reader, subscription, options, cursor)

    def _start(self, run: Run, options: LogOptions) -> Cursor:
        """The log's beginning, or with `tail` the present position of its last lines."""
        if options.tail is None or options.step is not None:
            return Cursor()
        try:
            byte, _ = self._reader.last_lines(run, options.tail)
        except (NotFound, Gone):  # there is none yet, or it has expired; the stream will tell
            return Cursor()
        return Cursor(byte=byte, line=0 if byte == 0 else None)

    def _identity(self, run: Run) -> tuple[object, ...]:
        """What distinguishes attempts of a job. Before v13 it is only the task, in the name of the log's file."""
        detail, job_id = run.detail, run.jobs[run.detail.index].id
        if detail.attempts is not None or not detail.started:
            return job_id, detail.attempt, detail.started
        try:
            return job_id, self._reader.end(run, 1).task
        except (NotFound, Gone):
            return job_id, detail.started


def _key(run: Run) -> tuple[object, ...]:
    return run.repo.owner.lower(), run.repo.name.lower(), run.number
