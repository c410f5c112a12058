"""Who is who in the permission matrix, and where they may do what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.live.server import ROLES, Server

# People beside those of every test, with what is special about them.
PEOPLE: Mapping[str, Mapping[str, bool]] = {
    "site-admin": {"admin": True},
    "administrator": {},
    "restricted": {"restricted": True},
    "restricted-inside": {"restricted": True},
    "prohibited": {"prohibit_login": True},
    "inactive": {"active": False},
    "coder": {},
    "actions-reader": {},
    "actions-writer": {},
    "restricted-coder": {"restricted": True},
    "restricted-reader": {"restricted": True},
}
ARCHIVED = "archived"
# Repositories of `owner`: whether they are private, and what is changed when they have their runs.
REPOSITORIES: Mapping[str, tuple[bool, Mapping[str, bool]]] = {
    "private": (True, {}),
    "public": (False, {}),
    ARCHIVED: (True, {"archived": True}),
    "off": (True, {"has_actions": False}),
}
# Their collaborators beside those of every test.
COLLABORATORS: Mapping[str, str] = {
    "administrator": "admin",
    "restricted-inside": "read",
    "prohibited": "write",
    "inactive": "write",
}
# An organisation's teams: the rights by unit, and who is a member.
TEAMS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "code": ({"repo.code": "write"}, ("coder", "restricted-coder")),
    "read": ({"repo.actions": "read"}, ("actions-reader", "restricted-reader")),
    "runs": ({"repo.actions": "write"}, ("actions-writer",)),
}
# Organisations by name: their visibility, and whether their repository is private.
ORGANISATIONS: Mapping[str, tuple[str, bool]] = {
    "team": ("public", True),
    "visible": ("public", False),
    "limited": ("limited", False),
    "hidden": ("private", False),
}
# Tokens that may less than their person: the person, and of some the only repository that they are for.
REDUCED: Mapping[str, tuple[str, str | None]] = {
    "owner-read": ("owner", None),
    "owner-issue": ("owner", None),
    "writer-public": ("writer", None),
    "actions-writer-read": ("actions-writer", None),
    "owner-one": ("owner", "private"),
    "site-admin-one": ("site-admin", "public"),
}
# From this version on a token can be for some repositories only.
TOKENS_BY_REPOSITORY_SINCE = 15


@dataclass(frozen=True)
class Rights:
    """What somebody may do with a run."""

    read: bool
    write: bool


def callers(major: int) -> dict[str | None, str | None]:
    """Whose token each caller has, by the names that a server keeps tokens under. None for nobody."""
    reduced = {
        name: role for name, (role, repo) in REDUCED.items() if repo is None or major >= TOKENS_BY_REPOSITORY_SINCE
    }
    return {None: None, **{role: role for role in (*ROLES, *PEOPLE)}, **reduced}


def make(server: Server) -> dict[str, int]:
    """Makes the people, organisations and repositories; a run that waits in each repository, by the full name."""
    for role in PEOPLE:
        server.person(role)
    for repo, (private, _) in REPOSITORIES.items():
        server.repository(repo, private)
        for role, right in COLLABORATORS.items():
            server.collaborator(repo, role, right)
    for name, (visibility, private) in ORGANISATIONS.items():
        server.organisation(f"{name}-{server.unique}", visibility, TEAMS, private)
    for name, (role, only) in REDUCED.items():
        if only and server.major >= TOKENS_BY_REPOSITORY_SINCE:
            server.token_of(role, name, only)
    names = [*REPOSITORIES, *(f"{name}-{server.unique}/demo" for name in ORGANISATIONS)]
    return {server.repo(name): server.push("unserved.yml", "for nobody", repo=name) for name in names}


def settle(server: Server) -> None:
    """Makes people and repositories what they are to be. Until then they can be collaborators and have runs."""
    for role, traits in PEOPLE.items():
        if traits:
            server.mark(role, **traits)
    for repo, (_, settings) in REPOSITORIES.items():
        if settings:
            server.change(repo, **settings)
