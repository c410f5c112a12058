"""The things a Forgejo holds: people, tokens, repositories, runs, jobs, and the tasks that are a job's attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.double.logs import BigLog, RowLog

UNITS = (
    "repo.code",
    "repo.issues",
    "repo.pulls",
    "repo.releases",
    "repo.wiki",
    "repo.projects",
    "repo.packages",
    "repo.actions",
)


class Status(StrEnum):
    """In the order of Forgejo's numbers, which the list page's filter takes."""

    UNKNOWN = "unknown"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    WAITING = "waiting"
    RUNNING = "running"
    BLOCKED = "blocked"

    @property
    def number(self) -> int:
        return list(Status).index(self)

    @property
    def done(self) -> bool:
        return self in (Status.SUCCESS, Status.FAILURE, Status.CANCELLED, Status.SKIPPED)

    @property
    def has_run(self) -> bool:
        return self in (Status.SUCCESS, Status.FAILURE)


@dataclass(eq=False)
class User:
    """An account. Second factors are `totp` (a base32 secret) and `webauthn`.

    One that is not `active`, or is `prohibited`, may not sign in; a `restricted` one sees only what it has a right to.
    """

    id: int
    name: str
    password: str
    admin: bool = False
    must_change_password: bool = False
    totp: str | None = None
    webauthn: bool = False
    active: bool = True
    prohibited: bool = False
    restricted: bool = False
    language: str = ""
    created: int = 0
    last_passcode: str | None = None


@dataclass(eq=False)
class Team:
    """Members with rights by unit; `permission` "admin" means all of them."""

    id: int
    name: str
    members: list[User]
    units: dict[str, str]
    permission: str | None = None


@dataclass(eq=False)
class Org:
    """An organisation; its owners are a team of their own.

    Its `visibility` is "public", "limited" (to who is signed in) or "private" (to members and collaborators).
    """

    id: int
    name: str
    teams: list[Team]
    created: int = 0
    visibility: str = "public"

    def team(self, name: str, members: Sequence[User], units: Mapping[str, str], permission: str | None = None) -> Team:
        """A team with rights to all the organisation's repositories, such as {"repo.actions": "read"}."""
        team = Team(self.id * 1000 + len(self.teams), name, list(members), dict(units), permission)
        self.teams.append(team)
        return team


@dataclass(frozen=True, eq=False)
class Token:
    """A personal access token. `repositories` limits it to these (v15 and later).

    With `job_of` it is what a running job has: it may write that repository, and sees no other, not even a public one.
    """

    value: str
    user: User
    scopes: tuple[str, ...]
    public_only: bool = False
    repositories: tuple[Repo, ...] | None = None
    job_of: Repo | None = None

    @property
    def reduced(self) -> bool:
        return self.public_only or self.repositories is not None

    def allows(self, level: str, category: str) -> bool:
        """Whether it has the scope; write includes read."""
        return bool({"all", f"{level}:{category}", f"write:{category}"} & set(self.scopes))


@dataclass(frozen=True)
class JobSpec:
    """A job as a workflow file has it; a name like `lint (mypy)` is one of the matrix `lint`."""

    name: str
    steps: Sequence[str] = ("run",)
    needs: Sequence[str] = ()
    runs_on: Sequence[str] = ("docker",)

    @property
    def key(self) -> str:
        """The job's id in the workflow file, which `needs` refers to."""
        return self.name.partition(" (")[0]


@dataclass(eq=False)
class Step:
    """A step of a task. Its times are the runner's."""

    name: str
    status: Status = Status.WAITING
    started: int = 0
    stopped: int = 0
    log_index: int = 0
    log_length: int = 0


@dataclass(eq=False)
class Task:
    """One attempt of a job, from its pickup. `clock` is the runner's, in ticks; `stopped` is what it said.

    `token` is the job's own, for as long as it runs.
    """

    id: int
    job: Job
    attempt: int
    started: int
    clock: int
    steps: list[Step]
    status: Status = Status.RUNNING
    stopped: int = 0
    updated: int = 0
    log: RowLog | BigLog | None = None
    expired: bool = False
    token: str = ""
    file_name: str | None = None


@dataclass(eq=False)
class Job:
    """A job of a run. `clock_skew` is added to every time its runner reports, in seconds."""

    id: int
    run: Run
    spec: JobSpec
    handle: str
    status: Status = Status.WAITING
    attempt: int = 0
    task: Task | None = None
    tasks: list[Task] = field(default_factory=list)
    started: int = 0
    stopped: int = 0
    clock_skew: int = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def index(self) -> int:
        return self.run.jobs.index(self)

    def log_bytes(self, attempt: int | None = None) -> bytes:
        """The log of the newest task, or of an attempt; for comparisons."""
        task = next(task for task in reversed(self.tasks) if attempt in (None, task.attempt))
        return b"".join(task.log.read(0, task.log.size)) if task.log else b""


@dataclass(eq=False)
class Artifact:
    """What a job uploaded: a zip, or with `v3` a file that each download zips anew."""

    id: int
    run: Run
    name: str
    data: bytes
    created: int
    expired: bool = False
    v3: bool = False


@dataclass(eq=False)
class Run:
    """`index` is its number in URLs, `id` that of the database. `ref` is a branch's name, a tag's, or `#12`.

    `event` is the workflow's word, `hook_event` the webhook's, such as `pull_request_sync`.
    """

    id: int
    index: int
    repo: Repo
    workflow_id: str
    title: str
    ref: str
    event: str
    actor: User
    sha: str
    created: int
    updated: int
    status: Status = Status.WAITING
    started: int = 0
    stopped: int = 0
    previous_duration: int = 0
    jobs: list[Job] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    pre_execution_error: str = ""
    pre_execution_warnings: list[str] = field(default_factory=list)
    hook_event: str = ""
    event_text: str = ""  # such as a pull request's description, which its author writes

    @property
    def full_ref(self) -> str:
        if self.ref.startswith("#"):
            return f"refs/pull/{self.ref[1:]}/head"
        return f"refs/{'tags' if self.ref in self.repo.tags else 'heads'}/{self.ref}"

    @property
    def scheduled(self) -> bool:
        return self.event == "schedule"

    @property
    def done(self) -> bool:
        """Its status is final and so is every job's."""
        return self.status.done and all(job.status.done for job in self.jobs)


@dataclass(frozen=True)
class Git:
    """A bare repository, and what a push does: called with who pushed, the branch, the commit and its subject."""

    folder: Path
    pushed: Callable[[User, str, str, str], object]


@dataclass(eq=False)
class Repo:
    id: int
    owner: User | Org
    name: str
    private: bool = True
    archived: bool = False
    has_actions: bool = True
    collaborators: dict[User, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    next_index: int = 1
    default_branch: str = "main"
    deleted_branches: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    workflows: list[str] = field(default_factory=list)
    disabled_workflows: set[str] = field(default_factory=set)
    created: int = 0
    git: Git | None = None

    @property
    def full_name(self) -> str:
        return f"{self.owner.name}/{self.name}"
