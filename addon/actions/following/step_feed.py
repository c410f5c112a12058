"""Where the lines of one step are in a log that grows.

A runner uploads lines first, and up to some seconds later which step they belong to. So lines belong to the step when
Forgejo's page shows them as the step's lines. Its first lines are looked for in the log; each later line is compared
with the log's next one.
"""

from __future__ import annotations

import time
from array import array
from contextlib import closing
from dataclasses import dataclass, field, replace

from addon.actions.logs.reader import LogReader
from addon.actions.logs.step_ranges import LogIndex, check_size, line_hash
from addon.errors import UpstreamUnexpected
from addon.forgejo.job_logs import JobLogs
from addon.model import Run, Status

# How many seconds a step that is done must bring no line until it is over, if the log does not go on behind it.
QUIET = 3.0


@dataclass(frozen=True, slots=True)
class StepFeed:
    """The lines of the step at this place (from 0): the number of the first one, and the positions of the bytes.

    `shown` is how many lines Forgejo has shown, `pending` those of them that have not been found in the log. `stop` is
    the position behind the last line that was found; None before the first. `over` says that no more will come.
    """

    place: int
    shown: int = 0
    pending: tuple[int, ...] = field(default=(), repr=False)
    line: int = 0
    start: int = 0
    stop: int | None = None
    count: int = 0
    changed_at: float = field(default_factory=time.monotonic, compare=False)
    over: bool = False


class StepFeeds:
    """Follows the lines of steps, in the log of the job that a run shows in detail."""

    def __init__(self, logs: JobLogs, reader: LogReader) -> None:
        self._logs, self._reader = logs, reader

    def grown(self, run: Run, feed: StepFeed, size: int) -> StepFeed:
        """The step with its new lines. `size` is the log's size up to the end of a line.

        The log's size and the step's state were read before, so a step that is seen done has all of its lines.
        """
        check_size(run, size)
        steps = run.detail.steps
        if feed.over or feed.place >= len(steps) or not _is_settled(run, feed.place):
            return feed
        new = [line_hash(line.timestamp, line.message) for line in self._logs.step_lines(run, {feed.place: feed.shown})]
        now = replace(feed, shown=feed.shown + len(new), pending=(*feed.pending, *new))
        now = self._located(run, now, size)
        if now != feed:
            now = replace(now, changed_at=time.monotonic())
        return replace(now, over=_is_over(now, steps[now.place].status, size))

    def _located(self, run: Run, feed: StepFeed, size: int) -> StepFeed:
        """The step with those of its pending lines that are in the log by now."""
        if not feed.pending:
            return feed
        with closing(self._reader.stream(run, feed.stop or 0, size)) as blocks:
            index = LogIndex(blocks, feed.stop or 0)
        found = index.find_begun(array("q", feed.pending))
        if feed.stop is None and found is not None:
            feed = replace(feed, line=found.first, start=index.position(found.first))
        elif found is not None and found.first > 0:
            raise UpstreamUnexpected(f"the lines that Forgejo shows of step {feed.place + 1} are not in the job's log")
        if found is None:  # not in the log yet
            return feed
        stop = index.position(found.first + found.count)
        return replace(feed, pending=feed.pending[found.count :], stop=stop, count=feed.count + found.count)


def _is_settled(run: Run, place: int) -> bool:
    """Whether the step's first line will stay its first line, and no line of it becomes another step's.

    Forgejo makes up "Set up job" and "Complete job". The former has all lines until a step is reported to have begun.
    The latter begins elsewhere when a further step runs.
    """
    made_up = place in (0, len(run.detail.steps) - 1)
    return not made_up or run.detail.steps[place].status.done


def _is_over(feed: StepFeed, status: Status, size: int) -> bool:
    if not status.done or feed.pending:
        return False
    if status is Status.SKIPPED or (feed.stop is not None and size > feed.stop):
        return True
    return time.monotonic() - feed.changed_at > QUIET
