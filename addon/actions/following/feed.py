"""The state of a job whose log is followed, and the newest part of its log. One poller reads it for all followers.

A poll costs Forgejo two short requests, however many clients follow, and one more for the lines of a step. It reads the
state first and the log second, so the log of a job that is seen done is read after its end. A job is over when one more
poll has brought no line. A cancelled job's last lines may come seconds later: the runner has to learn of the cancel.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from addon.actions.following.step_feed import StepFeed, StepFeeds
from addon.actions.logs.completeness import end_is_settled
from addon.actions.logs.reader import LogPart, LogReader
from addon.errors import Gone, NotFound
from addon.forgejo.web_ui import WebUi
from addon.model import Run, Status, Step

# How many of the newest bytes are read in a poll, and kept for followers that are up to date.
MOST_KEPT = 256 * 1024
# More than the longest line that Forgejo stores.
LONGEST_LINE = 128 * 1024
# How many seconds a runner may need to learn that its job was cancelled, and to upload the job's last lines.
LATE_LINES = 5.0


@dataclass(frozen=True, slots=True)
class Feed:
    """A job at an attempt. `started` says that a runner has taken it.

    `size` is the size of the log up to the end of a line, None before there is a log; `kept` are its last bytes.
    `step` is the followed step. `quiet_since` is when (on the monotonic clock) a poll of the job, which was done, first
    brought nothing. `over` says why nothing more will come: `done`, `rerun`, `expired`, or None.
    """

    run: Run = field(compare=False)
    status: Status
    steps: tuple[tuple[int, str, Status], ...] = ()
    started: bool = False
    size: int | None = None
    kept: bytes = field(default=b"", repr=False)
    task: str = ""
    step: StepFeed | None = None
    quiet_since: float | None = None
    over: str | None = None

    @property
    def kept_from(self) -> int:
        """The position of the first kept byte."""
        return (self.size or 0) - len(self.kept)


class Feeds:
    """Makes the poll functions of feeds."""

    def __init__(self, web_ui: WebUi, reader: LogReader, steps: StepFeeds) -> None:
        self._web_ui = web_ui
        self._reader = reader
        self._steps = steps

    def poll(self, first: Run, step: int | None = None) -> Callable[[Feed | None], Feed]:
        """A function that polls the job and attempt that `first` shows, and the lines of the step of that number."""

        def poll(before: Feed | None) -> Feed:
            if before is not None and before.over:
                return before
            start = Feed(first, first.detail_status, step=None if step is None else StepFeed(step - 1))
            feed = self._state(before or start, fresh=before is None)
            if not feed.started or feed.over:
                return feed
            grown = self._log(feed)
            if grown.step is not None and grown.size is not None and grown.run.detail.started and not grown.over:
                grown = replace(grown, step=self._steps.grown(grown.run, grown.step, grown.size))
            return grown

        return poll

    def _state(self, feed: Feed, fresh: bool) -> Feed:
        if fresh:
            run = feed.run
        elif feed.started:
            run = self._web_ui.refreshed(feed.run)
        else:  # the attempt's number is known once a runner has taken it
            run = self._web_ui.same_job(feed.run, feed.run.jobs[feed.run.detail.index])
        detail, status = run.detail, run.detail_status
        started = feed.started or detail.started
        if detail.attempts is None and feed.started and not detail.started:
            return replace(feed, run=run, over="rerun")  # before v13 the log of an earlier attempt can't be read
        hidden = started and not detail.started  # while a rerun waits; the previous state is still true
        steps = feed.steps if hidden else tuple(_step_state(step) for step in detail.steps)
        over = "done" if status.done and not started else None
        return replace(feed, run=run, status=feed.status if hidden else status, started=started, steps=steps, over=over)

    def _log(self, feed: Feed) -> Feed:
        """The feed with the log's new part."""
        try:
            part = self._newest(feed)
        except Gone:
            return replace(feed, over="expired")
        except NotFound:  # no line yet, or hidden while a rerun waits, or there will never be one
            return _quieter(feed, feed)
        if part.size < (feed.size or 0) or (feed.task and part.task and part.task != feed.task):
            return replace(feed, over="rerun")
        return _grown(feed, part)

    def _newest(self, feed: Feed) -> LogPart:
        """The log's new part, or only the end of it if it is long: who is behind reads what is between."""
        if feed.size is not None:  # with one byte that is there already, so that the response names the task
            part = self._reader.part(feed.run, max(feed.size - 1, 0), feed.size + MOST_KEPT)
            if part.start + len(part.data) >= part.size:
                return part
        return self._reader.end(feed.run, LONGEST_LINE)


def _grown(feed: Feed, part: LogPart) -> Feed:
    known = max(part.start, feed.size or 0)
    kept = feed.kept if known == feed.size else b""
    data = part.data[known - part.start :]
    if not (feed.status.done and known + len(data) == part.size):  # a line that is being written waits for its end
        data = data[: data.rfind(b"\n") + 1]
    kept = (kept + data)[-MOST_KEPT:]
    return _quieter(replace(feed, size=known + len(data), kept=kept, task=feed.task or part.task), feed)


def _quieter(feed: Feed, before: Feed) -> Feed:
    """The feed, which is over if a job that is done has brought nothing for long enough."""
    if not feed.status.done or feed.size != before.size:
        return replace(feed, quiet_since=None)
    if feed.quiet_since is None:
        return replace(feed, quiet_since=time.monotonic())
    late = 0.0 if end_is_settled(feed.run) else LATE_LINES
    if time.monotonic() - feed.quiet_since < late:
        return feed
    return replace(feed, over="rerun" if _is_superseded(feed.run) else "done")


def _is_superseded(run: Run) -> bool:
    """Whether the job has a later attempt."""
    numbers = [each.number for each in run.detail.attempts or ()]
    return bool(numbers) and run.detail.attempt is not None and max(numbers) > run.detail.attempt


def _step_state(step: Step) -> tuple[int, str, Status]:
    return step.number, step.name, step.status
