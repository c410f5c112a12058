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
from addon.actions.following.step_feed import StepFeed
from addon.actions.logs import lines
from addon.actions.logs.options import LogOptions
from addon.actions.logs.reader import LogReader
from addon.actions.polling import Subscription
from addon.errors import ApiError, Gone, InternalError, LogTooLarge, NotFound
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
        self._skip_before: int | None = None

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
            yield self._ended(_lack(error), error.message)
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
        """Nothing is new. A followed step that is over gets no more lines."""
        if feed.step is not None and feed.step.over:
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
            yield self._ended(*_ending(feed.over, feed))

    def _check_task(self, feed: Feed) -> Iterator[Note]:
        """After a rerun (before v13) the log is another one, and the cursor's position means nothing."""
        attempt = feed.run.detail.attempt or 0
        if self._cursor.task not in ("", feed.task):
            yield Note("the job was rerun: its log begins anew")
            self._cursor = Cursor()
        self._cursor = replace(self._cursor, attempt=attempt, task=feed.task)

    def _wanted(self, feed: Feed) -> Iterator[Lines]:
        if self._options.step is None:
            yield from self._until(feed, feed.size or 0)
        elif feed.step is not None and feed.step.stop is not None:
            self._to_step(feed.step)
            yield from self._until(feed, feed.step.stop)

    def _to_step(self, step: StepFeed) -> None:
        """Moves a cursor that is before the step to its first line. With `tail`, the lines before are left out."""
        if self._skip_before is None:
            tail = self._options.tail
            self._skip_before = 0 if tail is None else step.line + max(step.count - tail, 0)
        if self._cursor.byte < step.start:
            self._cursor = replace(self._cursor, byte=step.start, line=step.line)

    def _until(self, feed: Feed, stop: int) -> Iterator[Lines]:
        """The lines from the cursor to a position at a line's end."""
        while self._cursor.byte < stop:
            before = self._cursor
            for block in self._blocks(feed, before.byte, stop):
                start, self._cursor = self._cursor, self._cursor.advanced(block)
                left_out = min(max((self._skip_before or 0) - (start.line or 0), 0), block.count(b"\n"))
                begin = lines.nth_line(block, left_out)
                if begin < len(block):
                    yield Lines(block[begin:], start.advanced(block[:begin]))
            if self._cursor == before:
                return

    def _blocks(self, feed: Feed, start: int, stop: int) -> Iterator[bytes]:
        if start >= feed.kept_from:
            return iter((feed.kept[start - feed.kept_from : stop - feed.kept_from],))
        return self._reader.stream(feed.run, start, stop)

    def _ended(self, reason: str, text: str = "") -> End:
        self.over = True
        return End(reason, self._status, text)


def _ending(reason: str, feed: Feed) -> tuple[str, str]:
    """The reason of the end and its words. A job that is done may lack its log, or lines of the followed step."""
    if reason == "done" and feed.size is None:
        return "missing", ""
    if reason == "done" and feed.step is not None and feed.step.pending:
        return "incomplete", f"the run's page shows {len(feed.step.pending)} more"
    return reason, ""


def _lack(error: ApiError) -> str:
    """The reason of an end because of an error."""
    return "incomplete" if isinstance(error, LogTooLarge) else "missing"


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
        except (NotFound, Gone) as error:
            yield End(_lack(error), self._status, error.message)
