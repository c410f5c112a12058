"""The state of a job whose log is followed, and the newest part of its log. One poller reads it for all followers.

A poll costs Forgejo two short requests, however many clients follow. It reads the state first and the log second, so
the log of a job that is seen done is read after its end. A job is over when one more poll has brought no line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from addon.actions.logs.reader import LogPart, LogReader
from addon.errors import Gone, NotFound
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.web_ui import WebUi
from addon.model import Run, Status, Step

# How many bytes a poll reads at most, and how many of them are kept for followers that are up to date.
MOST_READ, MOST_KEPT = 1 << 20, 256 * 1024
# More than the longest line that Forgejo stores.
LONGEST_LINE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Feed:
    """A job at an attempt. `started` says that a runner has taken it.

    `size` is the size of the log up to the end of a line, None before there is a log; `kept` are its last bytes.
    `lengths` are the number of lines of each step, if they are counted. `quiet` says that the job is done and the
    last poll brought nothing. `over` says why nothing more will come: `done`, `rerun`, `expired`, or None.
    """

    run: Run = field(compare=False)
    status: Status
    steps: tuple[tuple[int, str, Status], ...] = ()
    started: bool = False
    size: int | None = None
    kept: bytes = field(default=b"", repr=False)
    task: str = ""
    lengths: tuple[int, ...] = ()
    quiet: bool = False
    over: str | None = None

    @property
    def kept_from(self) -> int:
        """The position of the first kept byte."""
        return (self.size or 0) - len(self.kept)


class Feeds:
    """Makes the poll functions of feeds."""

    def __init__(self, web_ui: WebUi, logs: JobLogs, reader: LogReader) -> None:
        self._web_ui = web_ui
        self._logs = logs
        self._reader = reader

    def poll(self, first: Run, by_step: bool) -> Callable[[Feed | None], Feed]:
        """A function that polls the job and attempt that `first` shows; with `by_step` it counts lines by step."""

        def poll(before: Feed | None) -> Feed:
            if before is not None and before.over:
                return before
            feed = self._state(before or Feed(first, _status(first)), fresh=before is None)
            if not feed.started or feed.over:
                return feed
            grown = self._log(feed)
            if by_step and not grown.over:
                grown = replace(grown, lengths=self._lengths(grown, feed))
            return grown

        return poll

    def _state(self, feed: Feed, fresh: bool) -> Feed:
        if fresh:
            run = feed.run
        elif feed.started:
            run = self._web_ui.refreshed(feed.run)
        else:  # the attempt's number is known once a runner has taken it
            run = self._web_ui.run(feed.run.repo, feed.run.number, feed.run.detail.index)
        detail, status = run.detail, _status(run)
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
            if feed.size is None:
                part = self._reader.end(feed.run, LONGEST_LINE)
            else:  # with one byte that is there already, so that the response names the task even if nothing is new
                part = self._reader.part(feed.run, max(feed.size - 1, 0), feed.size + MOST_READ)
        except Gone:
            return replace(feed, over="expired")
        except NotFound:  # no line yet, or hidden while a rerun waits, or there will never be one
            return replace(feed, quiet=feed.status.done, over="done" if feed.status.done and feed.quiet else None)
        if part.size < (feed.size or 0) or (feed.task and part.task and part.task != feed.task):
            return replace(feed, over="rerun")
        return self._grown(feed, part)

    def _grown(self, feed: Feed, part: LogPart) -> Feed:
        known = part.start if feed.size is None else feed.size
        data = part.data[known - part.start :]
        at_end = feed.status.done and known + len(data) == part.size
        if not at_end and len(data) < MOST_READ:  # a line that is still being written waits for its end
            data = data[: data.rfind(b"\n") + 1]
        size, kept = known + len(data), feed.kept + data
        quiet = feed.status.done and feed.size == size
        over = None
        if quiet and feed.quiet:
            over = "rerun" if _is_superseded(feed.run) else "done"
        return replace(feed, size=size, kept=kept[-MOST_KEPT:], task=feed.task or part.task, quiet=quiet, over=over)

    def _lengths(self, feed: Feed, before: Feed) -> tuple[int, ...]:
        if not feed.run.detail.started or feed.size is None:
            return before.lengths
        return self._logs.step_lengths(feed.run, before.lengths)


def _status(run: Run) -> Status:
    """The attempt's state. The job's own state is that of its newest attempt."""
    found = [each.status for each in run.detail.attempts or () if each.number == run.detail.attempt]
    return found[0] if found else run.jobs[run.detail.index].status


def _is_superseded(run: Run) -> bool:
    """Whether the job has a later attempt."""
    numbers = [each.number for each in run.detail.attempts or ()]
    return bool(numbers) and run.detail.attempt is not None and max(numbers) > run.detail.attempt


def _step_state(step: Step) -> tuple[int, str, Status]:
    return step.number, step.name, step.status
