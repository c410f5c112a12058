"""Who is who in the permission matrix, and where they may do what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.live.server import PRIVATE, PUBLIC, Server

# People beside those of every test, with what is special about them.
PEOPLE: Mapping[str, Mapping[str, bool]] = {
    "restricted": {"restricted": True},
    "prohibited": {"prohibit_login": True},
    "inactive": {"active": False},
    "coder": {},
    "actions-reader": {},
    "actions-writer": {},
    "restricted-coder": {"restricted": True},
    "restricted-reader": {"restricted": True},
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
# Tokens by role and suffix; None for nobody.
CALLERS = (
    *(None, "owner", "writer", "reader", "stranger", *PEOPLE),
    *("owner-read", "owner-issue", "writer-public", "actions-writer-read"),
)


@dataclass(frozen=True)
class Rights:
    """What somebody may do with a run."""

    read: bool
    write: bool


def make(server: Server, waiting: int) -> dict[str, int]:
    """Makes the people, organisations and repositories; a run that waits in each repository, by the full name.

    `waiting` is that of the private repository: another push would cancel it.
    """
    for role, traits in PEOPLE.items():
        server.person(role, **traits)
    for name, (visibility, private) in ORGANISATIONS.items():
        server.organisation(f"{name}-{server.unique}", visibility, TEAMS, private)
    names = [PUBLIC, *(f"{name}-{server.unique}/demo" for name in ORGANISATIONS)]
    made = {server.repo(name): server.push("unserved.yml", "for nobody", repo=name) for name in names}
    return {server.repo(PRIVATE): waiting, **made}
