"""One client's progress through one job's log.

Each follower has a cursor of its own. If it is up to date, it gets what the poller has just read; if it is behind, it
reads Forgejo's log from its cursor. So no line is lost and none comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from addon.actions.following.events import Cursor, End, Event, Heartbeat, Lines, Note, StatusChanged, StepChanged
from addon.actions.following.feed import Feed
from addon.actions.following.guard import Guard
from addon.actions.logs import lines
from addon.actions.logs.lines import Range
from addon.actions.logs.reader import LogOptions, LogReader
from addon.actions.polling import Subscription
from addon.errors import ApiError, Gone, InternalError, NotFound
from addon.model import Status


class Follower:
    """Follows one job's log. `over` is set when nothing more will come."""

    def __init__(
        self, reader: LogReader, subscription: Subscription[Feed], options: LogOptions, cursor: Cursor
    ) -> None:
        self.over = False
        self._reader = reader
        self._subscription = subscription
        self._options = options
        self._cursor = cursor
        self._seen = 0
        self._behind = False
        self._status = Status.UNKNOWN
        self._steps: dict[int, Status] = {}
        self._first_line: int | None = None

    @property
    def status(self) -> Status:
        """The job's state as it was last seen."""
        return self._status

    def next_events(self, guard: Guard, timeout: float) -> Iterator[Event]:
        """The new events. Waits up to `timeout` seconds for them."""
        snapshot = self._subscription.wait(self._seen, timeout)
        is_new, self._seen = snapshot.version > self._seen, snapshot.version
        try:
            if snapshot.error is not None:
                raise snapshot.error
            if snapshot.value is not None:
                yield from self._guarded(snapshot.value, is_new or self._behind, guard)
            guard.has_worked()
        except NotFound as error:
            yield self._ended("missing", error.message)
        except InternalError:
            raise
        except ApiError as error:
            if guard.has_just_failed(error):
                yield Note(f"{error.message}; waiting for it")
            yield Heartbeat()

    def _guarded(self, feed: Feed, is_new: bool, guard: Guard) -> Iterator[Event]:
        """The feed's events, each one only while the stream may go on."""
        self._behind = is_new
        events = self._events(feed) if is_new else self._idle(feed)
        while not guard.is_disconnected():
            if guard.is_stopping():
                yield self._ended("stopping", "the proxy is being stopped")
                return
            if (refusal := guard.refusal()) is not None:
                yield self._ended("access", refusal)
                return
            event = next(events, None)  # only after the checks: an event that is made and not sent would be lost
            if event is None:
                self._behind = False
                return
            yield event
        self.over = True

    def _idle(self, feed: Feed) -> Iterator[Event]:
        """Nothing is new. A followed step that is done then gets no more lines."""
        step = self._options.step
        if step is not None and len(feed.steps) >= step and feed.steps[step - 1][2].done:
            yield self._ended("step")
        yield Heartbeat()

    def _events(self, feed: Feed) -> Iterator[Event]:
        if feed.status is not self._status:
            self._status = feed.status
            yield StatusChanged(feed.status)
        for number, name, status in feed.steps:
            if self._steps.get(number, Status.WAITING) is not status:
                self._steps[number] = status
                yield StepChanged(number, name, status)
        if feed.size is not None:
            yield from self._check_task(feed)
            yield from self._wanted(feed)
        if feed.over is not None:
            yield self._ended("missing" if feed.over == "done" and feed.size is None else feed.over)

    def _check_task(self, feed: Feed) -> Iterator[Note]:
        """After a rerun (before v13) the log is another one, and the cursor's position means nothing."""
        attempt = feed.run.detail.attempt or 0
        if self._cursor.task not in ("", feed.task):
            yield Note("the job was rerun: its log begins anew")
            self._cursor = Cursor()
        self._cursor = replace(self._cursor, attempt=attempt, task=feed.task)

    def _wanted(self, feed: Feed) -> Iterator[Lines]:
        if self._options.step is None:
            yield from self._until(feed, None)
        elif (chosen := self._step_lines(feed, self._options.step)) is not None:
            for found in self._until(feed, chosen.first + chosen.count):
                skipped = min(max(chosen.first - (found.start.line or 0), 0), found.data.count(b"\n"))
                begin = lines.nth_line(found.data, skipped)
                if begin < len(found.data):
                    yield Lines(found.data[begin:], found.start.advanced(found.data[:begin]))

    def _step_lines(self, feed: Feed, step: int) -> Range | None:
        """The step's lines so far; None before the step has started, because its position is unknown then."""
        if len(feed.lengths) < step or feed.steps[step - 1][2] in (Status.WAITING, Status.BLOCKED):
            return None
        found = Range(sum(feed.lengths[: step - 1]), feed.lengths[step - 1])
        if self._first_line is None:
            self._first_line = found.first if self._options.tail is None else found.last(self._options.tail).first
        return Range(self._first_line, found.first + found.count - self._first_line)

    def _until(self, feed: Feed, stop: int | None) -> Iterator[Lines]:
        """Lines from the cursor to the feed's end, or to before the line with the number `stop`."""
        size = feed.size or 0
        while self._cursor.byte < size and self._lines_to(stop) != 0:
            before = self._cursor.byte
            for block in self._blocks(feed, before, size):
                left = self._lines_to(stop)
                data = block if left is None or block.count(b"\n") <= left else block[: lines.nth_line(block, left)]
                start = self._cursor
                self._cursor = start.advanced(data)
                if data:
                    yield Lines(data, start)
                if len(data) < len(block):
                    return
            if self._cursor.byte == before:
                return

    def _blocks(self, feed: Feed, start: int, size: int) -> Iterator[bytes]:
        if start >= feed.kept_from:
            return iter((feed.kept[start - feed.kept_from :],))
        return self._reader.stream(feed.run, start, size)

    def _lines_to(self, stop: int | None) -> int | None:
        return None if stop is None else max(stop - (self._cursor.line or 0), 0)

    def _ended(self, reason: str, text: str = "") -> End:
        self.over = True
        return End(reason, self._status, text)


class FinishedLog:
    """The log of a job that is already over, in the place of a follower: the wanted lines, and the end."""

    def __init__(self, blocks: Iterator[bytes], status: Status) -> None:
        self.over = False
        self._blocks = blocks
        self._status = status

    def next_events(self, guard: Guard, timeout: float) -> Iterator[Event]:
        """All events at once."""
        self.over = True
        try:
            for block in self._blocks:
                if guard.is_disconnected():
                    return
                if (refusal := guard.refusal()) is not None:
                    yield End("access", self._status, refusal)
                    return
                yield Lines(block, Cursor(line=None))
            yield End("done", self._status)
        except (NotFound, Gone) as error:
            yield End("missing", self._status, error.message)
