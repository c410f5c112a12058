"""What one poller knows of a job whose log is followed: its state, and the newest of its log.

A look costs Forgejo two short requests, however many follow. Its order is a safety: the state first, then the log, so
that a job seen done has its lines read afterwards; and a job is over only when one more look has brought no line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from addon.actions.logs.reader import LogReader, Part
from addon.errors import Gone, NotFound
from addon.forgejo.job_logs import JobLogs
from addon.forgejo.web_ui import Forgejo
from addon.model import Run, Status, Step

# A look reads at most so much; of what was read so much is kept for those who follow closely.
MOST_READ, MOST_KEPT = 1 << 20, 256 * 1024
# The longest line that Forgejo stores, and some.
LONGEST_LINE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Feed:
    """A job at an attempt. `size` is the log's so far, to the end of a line, None before there is one; `kept` its
    last bytes. `over` says why nothing more will come: `done`, `rerun`, `expired`, or None. `lengths` are the lines
    of each step, if they are counted.
    """

    run: Run = field(compare=False)
    status: Status
    steps: tuple[tuple[int, str, Status], ...] = ()
    begun: bool = False
    size: int | None = None
    kept: bytes = field(default=b"", repr=False)
    task: str = ""
    lengths: tuple[int, ...] = ()
    quiet: bool = False
    over: str | None = None

    @property
    def base(self) -> int:
        """Where `kept` begins."""
        return (self.size or 0) - len(self.kept)


class Feeds:
    """Makes the looks of pollers."""

    def __init__(self, forgejo: Forgejo, logs: JobLogs, reader: LogReader) -> None:
        self._forgejo = forgejo
        self._logs = logs
        self._reader = reader

    def look(self, first: Run, by_step: bool) -> Callable[[Feed | None], Feed]:
        """Looks at the job and attempt that `first` shows in detail. `by_step` counts the lines of steps too."""

        def looks(before: Feed | None) -> Feed:
            if before is not None and before.over:
                return before
            feed = self._state(before or Feed(first, _status(first)), fresh=before is None)
            if not feed.begun or feed.over:
                return feed
            grown = self._log(feed)
            if by_step and not grown.over:
                grown = replace(grown, lengths=self._lengths(grown, feed))
            return grown

        return looks

    def _state(self, feed: Feed, fresh: bool) -> Feed:
        if fresh:
            run = feed.run
        elif feed.begun:
            run = self._forgejo.refreshed(feed.run)
        else:  # its number is known once a runner has taken it
            run = self._forgejo.run(feed.run.repo, feed.run.number, feed.run.detail.index)
        detail, status = run.detail, _status(run)
        begun = feed.begun or detail.started
        if detail.attempts is None and feed.begun and not detail.started:
            return replace(feed, run=run, over="rerun")  # before v13 the log of an earlier attempt is out of reach
        hidden = begun and not detail.started  # while a rerun waits; what was known still holds
        steps = feed.steps if hidden else tuple(_told(step) for step in detail.steps)
        over = "done" if status.done and not begun else None
        return replace(feed, run=run, status=feed.status if hidden else status, begun=begun, steps=steps, over=over)

    def _log(self, feed: Feed) -> Feed:
        """The feed with what has come to the log."""
        try:
            if feed.size is None:
                part = self._reader.end(feed.run, LONGEST_LINE)
            else:  # from a byte that is there, so that it is told whose log it is though nothing has come
                part = self._reader.part(feed.run, max(feed.size - 1, 0), feed.size + MOST_READ)
        except Gone:
            return replace(feed, over="expired")
        except NotFound:  # no line yet, or hidden while a rerun waits, or none will ever come
            return replace(feed, quiet=feed.status.done, over="done" if feed.status.done and feed.quiet else None)
        if part.size < (feed.size or 0) or (feed.task and part.task and part.task != feed.task):
            return replace(feed, over="rerun")
        return self._grown(feed, part)

    def _grown(self, feed: Feed, part: Part) -> Feed:
        known = part.start if feed.size is None else feed.size
        data = part.data[known - part.start :]
        at_end = feed.status.done and known + len(data) == part.size
        if not at_end and len(data) < MOST_READ:  # a line that is still being written comes with its end
            data = data[: data.rfind(b"\n") + 1]
        size, kept = known + len(data), feed.kept + data
        quiet = feed.status.done and feed.size == size
        over = None
        if quiet and feed.quiet:
            over = "rerun" if _superseded(feed.run) else "done"
        return replace(feed, size=size, kept=kept[-MOST_KEPT:], task=feed.task or part.task, quiet=quiet, over=over)

    def _lengths(self, feed: Feed, before: Feed) -> tuple[int, ...]:
        if not feed.run.detail.started or feed.size is None:
            return before.lengths
        return self._logs.step_lengths(feed.run, before.lengths)


def _status(run: Run) -> Status:
    """The attempt's state; the job's own is that of its newest attempt."""
    found = [each.status for each in run.detail.attempts or () if each.number == run.detail.attempt]
    return found[0] if found else run.jobs[run.detail.index].status


def _superseded(run: Run) -> bool:
    """Whether a later attempt of the job exists."""
    numbers = [each.number for each in run.detail.attempts or ()]
    return bool(numbers) and run.detail.attempt is not None and max(numbers) > run.detail.attempt


def _told(step: Step) -> tuple[int, str, Status]:
    return step.number, step.name, step.status
