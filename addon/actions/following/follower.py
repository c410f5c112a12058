"""Following jobs' logs: what is there at once, then every line as it comes, until the jobs end.

Each follower has a place of its own in the log. What the poller has just seen serves those who are close; who is
further back reads Forgejo's log from its own place. So nothing is lost and no line comes twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

from addon.actions.following.events import Beat, End, Event, Lines, Note, Place, StatusChanged, StepChanged
from addon.actions.following.feed import Feed
from addon.actions.following.guard import Guard
from addon.actions.logs import lines
from addon.actions.logs.lines import Range
from addon.actions.logs.reader import LogReader, Options
from addon.actions.polling import Sight, Watch
from addon.api.text import bundle
from addon.errors import ApiError, Gone, InternalError, NotFound
from addon.model import Run, Status

# How long news are waited for before a look whether the client is still there; of several jobs, all of them.
LISTEN, LISTEN_TO_MANY = 1.0, 0.25
# Of a run with many jobs so many are followed at a time.
MOST_AT_ONCE = 16


class Follower:
    """One caller's way through one job's log. `over` when nothing more will come."""

    def __init__(self, reader: LogReader, watch: Watch[Feed], options: Options, place: Place) -> None:
        self.over = False
        self._reader = reader
        self._watch = watch
        self._options = options
        self._place = place
        self._seen = 0
        self._behind = False
        self._status = Status.UNKNOWN
        self._steps: dict[int, Status] = {}
        self._first_line: int | None = None

    def turn(self, guard: Guard, wait: float) -> Iterator[Event]:
        """What is new, waiting so many seconds at most for it."""
        sight = self._watch.after(self._seen, wait)
        news, self._seen = sight.number > self._seen, sight.number
        try:
            if sight.error is not None:
                raise sight.error
            if sight.value is not None:
                yield from self._guarded(sight.value, news or self._behind, guard)
            guard.worked()
        except NotFound as error:
            yield self._ended("missing", error.message)
        except InternalError:
            raise
        except ApiError as error:
            if guard.failed(error):
                yield Note(f"{error.message}; waiting for it")
            yield Beat()

    def _guarded(self, feed: Feed, news: bool, guard: Guard) -> Iterator[Event]:
        """The feed's events, each given only while access holds."""
        self._behind = news
        events = self._events(feed) if news else self._idle(feed)
        while not guard.gone():
            if guard.stopping():
                yield self._ended("stopping", "the proxy is being stopped")
                return
            if (refusal := guard.refusal()) is not None:
                yield self._ended("access", refusal)
                return
            event = next(events, None)  # only now: one that is made and not given would be lost
            if event is None:
                self._behind = False
                return
            yield event
        self.over = True

    def _idle(self, feed: Feed) -> Iterator[Event]:
        """Nothing is new; a step that is done gets no more lines then."""
        step = self._options.step
        if step is not None and len(feed.steps) >= step and feed.steps[step - 1][2].done:
            yield self._ended("step")
        yield Beat()

    def _events(self, feed: Feed) -> Iterator[Event]:
        if feed.status is not self._status:
            self._status = feed.status
            yield StatusChanged(feed.status)
        for number, name, status in feed.steps:
            if self._steps.get(number, Status.WAITING) is not status:
                self._steps[number] = status
                yield StepChanged(number, name, status)
        if feed.size is not None:
            yield from self._at_task(feed)
            yield from self._wanted(feed)
        if feed.over is not None:
            yield self._ended("missing" if feed.over == "done" and feed.size is None else feed.over)

    def _at_task(self, feed: Feed) -> Iterator[Note]:
        """The place is one in this attempt's log. After a rerun (before v13) a place from before means nothing."""
        attempt = feed.run.detail.attempt or 0
        if self._place.task not in ("", feed.task):
            yield Note("the job was rerun: its log begins anew")
            self._place = Place()
        self._place = replace(self._place, attempt=attempt, task=feed.task)

    def _wanted(self, feed: Feed) -> Iterator[Lines]:
        if self._options.step is None:
            yield from self._until(feed, None)
        elif (chosen := self._step_lines(feed, self._options.step)) is not None:
            for found in self._until(feed, chosen.first + chosen.count):
                skipped = min(max(chosen.first - (found.start.line or 0), 0), found.data.count(b"\n"))
                place = lines.nth_line(found.data, skipped)
                if place < len(found.data):
                    yield Lines(found.data[place:], found.start.behind(found.data[:place]))

    def _step_lines(self, feed: Feed, step: int) -> Range | None:
        """The step's lines so far; None before it has begun, for then nobody knows where."""
        if len(feed.lengths) < step or feed.steps[step - 1][2] in (Status.WAITING, Status.BLOCKED):
            return None
        found = Range(sum(feed.lengths[: step - 1]), feed.lengths[step - 1])
        if self._first_line is None:
            self._first_line = found.first if self._options.tail is None else found.last(self._options.tail).first
        return Range(self._first_line, found.first + found.count - self._first_line)

    def _until(self, feed: Feed, stop: int | None) -> Iterator[Lines]:
        """Lines from the place to the feed's end, or to before the one of a number."""
        size = feed.size or 0
        while self._place.byte < size and self._lines_to(stop) != 0:
            before = self._place.byte
            for block in self._blocks(feed, before, size):
                left = self._lines_to(stop)
                data = block if left is None or block.count(b"\n") <= left else block[: lines.nth_line(block, left)]
                start = self._place
                self._place = start.behind(data)
                if data:
                    yield Lines(data, start)
                if len(data) < len(block):
                    return
            if self._place.byte == before:
                return

    def _blocks(self, feed: Feed, start: int, size: int) -> Iterator[bytes]:
        if start >= feed.base:
            return iter((feed.kept[start - feed.base :],))
        return self._reader.stream(feed.run, start, size)

    def _lines_to(self, stop: int | None) -> int | None:
        return None if stop is None else max(stop - (self._place.line or 0), 0)

    @property
    def status(self) -> Status:
        """The job's state when it was last seen."""
        return self._status

    def _ended(self, reason: str, text: str = "") -> End:
        self.over = True
        return End(reason, self._status, text)


class Finished:
    """A job that is over already, by which the run is followed: the wanted part of its log, in one turn."""

    def __init__(self, blocks: Iterator[bytes], status: Status) -> None:
        self.over = False
        self._blocks = blocks
        self._status = status

    def turn(self, guard: Guard, wait: float) -> Iterator[Event]:
        """All of it."""
        self.over = True
        try:
            for block in self._blocks:
                if guard.gone():
                    return
                if (refusal := guard.refusal()) is not None:
                    yield End("access", self._status, refusal)
                    return
                yield Lines(block, Place(line=None))
            yield End("done", self._status)
        except (NotFound, Gone) as error:
            yield End("missing", self._status, error.message)


def one(follower: Follower, guard: Guard) -> Iterator[Event]:
    """Everything of one job."""
    while not follower.over:
        yield from follower.turn(guard, LISTEN)


def several(
    runs: Watch[Run], failed: bool, open_job: Callable[[int], AbstractContextManager[Follower | Finished]], guard: Guard
) -> Iterator[tuple[int, Event]]:
    """Everything of all jobs that have begun, as it comes; or of those that have failed, when they have. Jobs may be
    added to a run while it goes on."""
    with ExitStack() as stack:
        opened: dict[int, tuple[Follower | Finished, ExitStack]] = {}
        over: set[int] = set()
        while not guard.gone() and not guard.stopping() and not guard.refused:
            sight = runs.after(0, LISTEN)
            run = sight.value
            yield from ((0, event) for event in _watched(sight, guard))
            if guard.refused or isinstance(sight.error, NotFound):
                return
            chosen = [] if run is None else [index for index in bundle.indexes(run, failed) if _begun(run, index)]
            for index in [index for index in chosen if index not in over and index not in opened]:
                if len(opened) < MOST_AT_ONCE:
                    own = stack.enter_context(ExitStack())
                    opened[index] = own.enter_context(open_job(index)), own
            quiet = True
            for index, (follower, own) in sorted(opened.items()):
                for event in follower.turn(guard, 0):
                    quiet = quiet and isinstance(event, Beat)
                    yield index, event
                if follower.over:
                    own.close()
                    del opened[index]
                    over.add(index)
            if run is not None and run.done and over.issuperset(chosen):
                return
            if quiet:
                yield 0, Beat()
                time.sleep(LISTEN_TO_MANY)


def _watched(sight: Sight[Run], guard: Guard) -> Iterator[Event]:
    """What ends the following of a run though none of its jobs has a line, or makes it wait."""
    status = sight.value.status if sight.value else Status.UNKNOWN
    try:
        if sight.error is not None:
            raise sight.error
        if (refusal := guard.refusal()) is not None:
            yield End("access", status, refusal)
    except NotFound as error:
        yield End("missing", status, error.message)
    except InternalError:
        raise
    except ApiError as error:
        if guard.failed(error):
            yield Note(f"{error.message}; waiting for it")


def _begun(run: Run, index: int) -> bool:
    """Whether a job can have lines; those that wait are not looked at one by one."""
    return run.jobs[index].status not in (Status.WAITING, Status.BLOCKED)
