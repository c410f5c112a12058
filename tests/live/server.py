"""What the contract tests need of a server, real or not: people, two repositories, pushes, a runner."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from tests.live.browser import Browser
from tests.live.runner import Runner, Task

PATIENCE = 20.0
ROLES = ("owner", "writer", "reader", "stranger")
# A token of each person with these scopes: `owner` is everything's, `owner-read` a token that may only read.
TOKENS = {"": ["all"], "-read": ["read:repository"], "-issue": ["read:issue"], "-public": ["public-only", "all"]}
PRIVATE, PUBLIC = "demo", "open"
WRITER_AND_READER = (("writer", "write"), ("reader", "read"))
# By name: rights by unit, such as {"repo.actions": "read"}, and the roles of the members.
Teams = Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]]


class Server(ABC):
    """A server with a private repository `demo` and a public one `open`, both of `owner`.

    `tokens` are by role and suffix as in TOKENS; `users` and `passwords` are by role.
    """

    url: str
    runner: Runner
    admin: tuple[str, str]

    def __init__(self) -> None:
        self.unique = secrets.token_hex(4)
        self.label = f"label-{self.unique}"
        self.users = {role: f"{role}-{self.unique}" for role in ROLES}
        self.tokens: dict[str, str] = {}
        self.passwords: dict[str, str] = {}

    @property
    @abstractmethod
    def version(self) -> str:
        """What the server says it is, without what follows `+`."""

    @abstractmethod
    def push(self, workflow: str, title: str, branch: str = "main", repo: str = PRIVATE) -> int:
        """A commit of `owner` that starts this one of the workflows; the number of the run."""

    @abstractmethod
    def repository(self, name: str, private: bool = True) -> None:
        """Another repository of `owner`, with a writer and a reader."""

    @abstractmethod
    def collaborator(self, repo: str, role: str, right: str) -> None:
        """Gives somebody the right `read`, `write` or `admin` to a repository of `owner`."""

    @abstractmethod
    def push_broken(self, repo: str) -> None:
        """A commit with a workflow file `broken.yml` whose jobs can't be read. From v12 on it starts a run, which fails."""

    @abstractmethod
    def artifact(self, task: Task, name: str, data: bytes) -> None:
        """Uploads an artifact, as a running job does."""

    @abstractmethod
    def change(self, repo: str, **settings: bool) -> None:
        """A repository's settings by their names in Forgejo's API: `archived`, `has_actions`."""

    @abstractmethod
    def person(self, role: str) -> None:
        """Another account with its tokens."""

    @abstractmethod
    def mark(self, role: str, **traits: bool) -> None:
        """Makes an account a special one: `admin`, `restricted`, `prohibit_login`, `active`."""

    @abstractmethod
    def token_of(self, role: str, name: str, *repos: str) -> None:
        """One more token of a person, kept as `name`, which is for these repositories only. From v15 on."""

    @abstractmethod
    def organisation(self, name: str, visibility: str, teams: Teams, private: bool) -> None:
        """An organisation of `owner` with a repository `demo`, and teams with rights to it by unit."""

    @abstractmethod
    def close(self) -> None:
        """Removes everything that was made."""

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.partition(".")[0])

    def repo(self, name: str = PRIVATE) -> str:
        """The full name of one of the repositories; a full name is returned as it is."""
        return name if "/" in name else f"{self.users['owner']}/{name}"

    def browser(self, role: str, base: str | None = None) -> Browser:
        """A web session of one of the people; at `base`, a proxy before the server, if given."""
        return Browser(base or self.url, self.users[role], self.passwords[role])

    def cancel(self, number: int) -> None:
        """The owner cancels a run of the private repository, in the web UI."""
        answer = self.browser("owner").click(f"/{self.repo()}/actions/runs/{number}/cancel")
        if answer.status_code != 200:
            raise RuntimeError(f"run {number} can't be cancelled: {answer.status_code} {answer.text[:300]}")

    def take(self, number: int) -> Task:
        """The next job, as soon as there is one; it must be of this run."""
        task = eventually(self.runner.fetch)
        if task is None or task.run_number != number:
            raise AssertionError(f"run {number} has no job to take" + (f", but {task.run_number} has" if task else ""))
        return task


def eventually[T](look: Callable[[], T | None]) -> T | None:
    """What `look` finds, within a time that is generous for a slow machine; else None."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return found
