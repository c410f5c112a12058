"""Accounts, tokens, organisations and repositories of a world."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence

from tests.double.model import Org, Repo, Team, Token, User
from tests.double.versions import VERSIONS


class People:
    """Who there is and what they own. `next_id` may be set per kind, to get database ids that a test needs."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.version = VERSIONS["v15"]
        self.next_id: dict[str, int] = {}
        self.users: dict[str, User] = {}
        self.orgs: dict[str, Org] = {}
        self.tokens: dict[str, Token] = {}
        self.repos: list[Repo] = []
        self.renames: dict[str, Repo] = {}
        self.scrambled = False  # the database has no order of its own, as PostgreSQL hasn't
        self.runners: dict[str, tuple[str, tuple[str, ...]]] = {}  # token and labels by uuid
        self.admin = self.user("root-admin", password=f"admin-secret-{secrets.token_hex(8)}", admin=True)

    def now(self) -> int:
        return int(self.clock())

    def _id(self, kind: str) -> int:
        number = self.next_id.get(kind, 1)
        self.next_id[kind] = number + 1
        return number

    def user(
        self,
        name: str,
        password: str | None = None,
        admin: bool = False,
        must_change_password: bool = False,
        totp: str | None = None,
        webauthn: bool = False,
    ) -> User:
        """A new account; without `password` it gets a random one."""
        with self.lock:
            if name.lower() in self.users or name.lower() in self.orgs:
                raise ValueError(f"{name} exists")
            secret = password or f"secret-{secrets.token_hex(8)}"
            user = User(self._id("user"), name, secret, admin, must_change_password, totp, webauthn, created=self.now())
            self.users[name.lower()] = user
            return user

    def org(self, name: str, owners: Sequence[User] = ()) -> Org:
        with self.lock:
            number = self._id("user")
            org = Org(number, name, [Team(number * 1000 - 1, "Owners", list(owners), {}, "owner")], self.now())
            self.orgs[name.lower()] = org
            return org

    def token(
        self,
        user: User,
        *scopes: str,
        public_only: bool = False,
        repositories: Sequence[Repo] | None = None,
        value: str | None = None,
        job_of: Repo | None = None,
    ) -> str:
        """A new token of 40 hex digits, with scopes such as "read:repository" or "all"."""
        text = value or secrets.token_hex(20)
        limit = tuple(repositories) if repositories is not None else None
        with self.lock:
            self.tokens[text] = Token(text, user, tuple(scopes), public_only, limit, job_of)
        return text

    def revoke(self, token: str) -> None:
        with self.lock:
            del self.tokens[token]

    def repo(self, full_name: str, private: bool = True, archived: bool = False, has_actions: bool = True) -> Repo:
        """A new repository; an owner that does not exist becomes a user."""
        owner_name, _, name = full_name.partition("/")
        with self.lock:
            key = owner_name.lower()
            owner = self.users.get(key) or self.orgs.get(key) or self.user(owner_name)
            repo = Repo(self._id("repo"), owner, name, private, archived, has_actions, created=self.now())
            self.repos.append(repo)
            return repo

    def rename(self, repo: Repo, full_name: str) -> None:
        """Another name or owner; the old name redirects."""
        owner_name, _, name = full_name.partition("/")
        with self.lock:
            self.renames[repo.full_name.lower()] = repo
            key = owner_name.lower()
            repo.owner = self.users.get(key) or self.orgs.get(key) or self.user(owner_name)
            repo.name = name

    def find_repo(self, owner: str, name: str) -> Repo | None:
        """By name, whatever its case."""
        full_name = f"{owner}/{name}".lower()
        return next((repo for repo in self.repos if repo.full_name.lower() == full_name), None)
