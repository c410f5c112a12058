"""A parsed request: which run, which of its jobs, and how they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from addon.model import Repo

# Values of `job` for several jobs at once. A job with such a name is addressed by its index. Unsuccessful jobs are
# those that failed or were cancelled: a runner may report a job that ran out of time as cancelled.
ALL, FAILED, UNSUCCESSFUL = "all", "failed", "unsuccessful"
SEVERAL = (ALL, FAILED, UNSUCCESSFUL)
# The value of `attempt` for the newest one.
NEWEST = 0
# Entries on a page if `limit` is not given, as in Forgejo's lists.
PAGE_SIZE = 30
# The value of `status` for runs that are done, with all of their jobs.
COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of a request. Those that were not given are None or have the default below.

    `job` is an index from 0, a name, or one of SEVERAL; `attempt` a number from 1 or NEWEST; `status` a name in Status
    or COMPLETED; `wait` seconds; `step` and `page` a number from 1. `statuses` and `events` are those of a list of runs
    that are given more than once; then `status` and `event` are None.
    """

    workflow_id: str | None = None
    branch: str | None = None
    event: str | None = None
    status: str | None = None
    actor: str | None = None
    head_sha: str | None = None
    job: int | str | None = None
    attempt: int | None = None
    follow: bool = False
    tail: int | None = None
    timestamps: bool = True
    ansi: bool = True
    step: int | None = None
    failed_steps: bool = False
    format: str | None = None
    wait: int | None = None
    wait_for: str = "done"
    lines: int = 20
    steps: bool = False
    dry_run: bool = False
    keep_artifacts: str | None = None
    page: int | None = None
    limit: int | None = None
    run_number: int | None = None
    statuses: tuple[str, ...] = ()
    events: tuple[str, ...] = ()

    @property
    def is_paged(self) -> bool:
        """Whether one page of a list is asked for."""
        return self.page is not None or self.limit is not None

    def of_page[T](self, entries: Sequence[T]) -> Sequence[T]:
        """The entries on the page that is asked for. All of them if none is."""
        if not self.is_paged:
            return entries
        size = self.limit or PAGE_SIZE
        start = ((self.page or 1) - 1) * size
        return entries[start : start + size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Parameters):
    """A request about runs of a repository. `run` is a run number, or None for the latest run.

    `may_be_id` says that the number came in a path where Forgejo's own API takes a database id.
    """

    repo: Repo
    run: int | None = None
    may_be_id: bool = field(default=False, compare=False)
    artifact: str | None = None
