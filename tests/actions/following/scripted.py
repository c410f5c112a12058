"""A runner that follows a script: lines first, the boundaries of its steps later, and last lines after a cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.double import Fault, JobSpec
from tests.double.logs import RowLog
from tests.double.model import Job, Status
from tests.double.world import ROW_TICKS, World

STEPS = ("one", "two", "three")
# How many lines come at once, and of which length: some that no buffer holds, and many that are alike.
BATCHES = ((1, 5), (3, 0), (40, 20), (6, 60_000), (2, 65_535), (3000, 90))
SMALL = (*BATCHES[:3],) * 3 + BATCHES
FAULTS = (("panic", 0), ("panic", 100), ("panic", 100_000), ("truncate", None), ("drop", None), ("status", 500))


@dataclass
class ScriptedJob:
    """A job's runner. What it knows of its steps is reported by `report` only."""

    world: World
    job: Job
    index: list[int] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    step: int = -1

    def begin(self) -> None:
        self.world.pick(self.job)

    def rows(self, batch: tuple[int, int]) -> None:
        """Lines of the running step, or of the set-up."""
        task, (count, size) = self.job.task, batch
        assert task is not None
        if task.log is None:
            task.log = RowLog()
        assert isinstance(task.log, RowLog)
        task.log.hidden = 0
        for number in range(count):
            task.log.append(task.clock, f"{number} ".ljust(size, "x")[:size])
            task.clock += ROW_TICKS
        if self.length and self.index:
            self.length[-1] += count if self.step >= 0 else 0

    def torn(self, size: int) -> None:
        """A line of which only the beginning is written yet."""
        self.rows((1, 3))
        if self.job.task and isinstance(self.job.task.log, RowLog):
            self.job.task.log.hidden = size

    def reveal(self) -> None:
        """The rest of it."""
        if self.job.task and isinstance(self.job.task.log, RowLog):
            self.job.task.log.hidden = 0

    def gap(self) -> None:
        """A line that belongs to no step."""
        step, self.step = self.step, -1
        self.rows((1, 3))
        self.step = step

    def next_step(self) -> None:
        """The next step begins here."""
        if len(self.index) < len(STEPS):
            self.step = len(self.index)
            self.index.append(self._rows)
            self.length.append(0)

    def report(self) -> None:
        """Tells Forgejo where the steps are."""
        task = self.job.task
        if task is None or task.status.done:
            return
        for number, (index, length) in enumerate(zip(self.index, self.length, strict=True)):
            step = task.steps[number]
            step.log_index, step.log_length = index, length
            step.started = step.started or task.clock
            running = number == len(self.index) - 1
            step.status = Status.RUNNING if running else Status.SUCCESS

    def finish(self, result: str) -> None:
        self.reveal()
        self.report()
        self.world.finish(self.job, result)

    @property
    def _rows(self) -> int:
        return self.job.task.log.rows if self.job.task and self.job.task.log else 0


# So many requests come before each late line.
LATE = 4
Action = tuple[str, Any]
ACTIONS = st.one_of(
    st.tuples(st.just("rows"), st.sampled_from(SMALL)),
    st.tuples(st.sampled_from(["gap", "next_step", "report", "report", "nothing"]), st.none()),
    st.tuples(st.just("torn"), st.integers(0, 28)),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS)),
)


@dataclass(frozen=True)
class Script:
    """What happens to the jobs, and how many actions happen before each request of the product.

    `ends` are each job's result; `late` lines come after a cancel.
    """

    jobs: tuple[tuple[Action, ...], ...]
    ends: tuple[str, ...]
    late: tuple[Action, ...]
    pace: tuple[int, ...]


def scripts(jobs: int) -> st.SearchStrategy[Script]:
    """Scripts for runs with this many jobs."""
    actions = st.lists(ACTIONS, max_size=14).map(tuple)
    ends = st.sampled_from(["success", "failure", "cancelled"])
    return st.builds(
        Script,
        st.tuples(*[actions] * jobs),
        st.tuples(*[ends] * jobs),
        st.lists(st.tuples(st.just("rows"), st.sampled_from(BATCHES[:4])), max_size=3).map(tuple),
        st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any).map(tuple),
    )


class Play:
    """A script on a run of the stand-in. Call it before each request."""

    def __init__(self, script: Script, run: Any, world: World, faults: list[Fault]) -> None:
        self._pace, self._count = script.pace, 0
        self._world, self._faults, self._run = world, faults, run
        self._left: list[Callable[[], None]] = []
        self._cancelled = False
        each = [
            self._of(ScriptedJob(world, job), actions, end, script.late)
            for job, actions, end in zip(run.jobs, script.jobs, script.ends, strict=True)
        ]
        while any(each):  # the jobs run at the same time
            self._left += [actions.pop(0) for actions in each if actions]

    def __call__(self) -> None:
        count = self._pace[self._count % len(self._pace)]
        self._count += 1
        for _ in range(1 if self._cancelled else count):  # a runner is late, but not for long
            if self._left:
                self._left.pop(0)()

    def rest(self) -> None:
        """All that is left, at once."""
        while self._left:
            self._left.pop(0)()

    def _of(
        self, job: ScriptedJob, actions: Sequence[Action], end: str, late: Sequence[Action]
    ) -> list[Callable[[], None]]:
        made = [job.begin, *(self._action(job, name, value) for name, value in actions)]
        if end == "cancelled":
            made.append(lambda: self._cancel(job))
            for name, value in late:
                made += [*[lambda: None] * LATE, self._action(job, name, value)]
            return made
        return [*made, lambda: job.finish(end)]

    def _cancel(self, job: ScriptedJob) -> None:
        self._cancelled = True
        job.reveal()
        self._world.cancel_job(job.job)
        self._world.update_run(self._run)

    def _action(self, job: ScriptedJob, name: str, value: Any) -> Callable[[], None]:
        if name in ("rows", "torn"):
            return lambda: getattr(job, name)(value)
        if name == "fault":
            kind, what = value
            path = f"^(GET|POST) /{self._run.repo.full_name}/actions/runs/[0-9]+/jobs/.*"
            match = f"{path}/logs" if kind in ("panic", "truncate") else path
            return lambda: self._faults.append(Fault(match, kind, 1, what))
        return getattr(job, name, lambda: None)


def new_run(world: World, repo: Any, jobs: int) -> Any:
    """A run that waits."""
    return world.run(repo, jobs=[JobSpec(f"job {number}", steps=STEPS) for number in range(jobs)])
