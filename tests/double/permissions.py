"""Who may do what: by ownership, collaboration, and an organisation's teams with their rights by unit."""

from __future__ import annotations

from dataclasses import dataclass

from tests.double.model import UNITS, Org, Repo, Token, User
from tests.double.versions import Version

LEVELS = ("none", "read", "write", "admin", "owner")


@dataclass(frozen=True)
class Principal:
    """Who asks: `label` as in the record of requests, `user` None for anonymous or refused credentials."""

    label: str
    user: User | None = None
    token: Token | None = None

    @property
    def bad(self) -> bool:
        return self.label == "bad"


ANONYMOUS = Principal("anonymous")


def allowed(version: Version, principal: Principal, repo: Repo, unit: str, level: str) -> bool:
    """Whether the principal has at least this level on a unit of the repository."""
    return _level(version, principal, repo, unit) >= LEVELS.index(level)


def sees(version: Version, principal: Principal, repo: Repo) -> bool:
    """Whether the repository exists for the principal: any right to any unit will do."""
    return any(_level(version, principal, repo, unit, ignore_off=True) for unit in UNITS)


def _level(version: Version, principal: Principal, repo: Repo, unit: str, ignore_off: bool = False) -> int:
    user, token = principal.user, principal.token
    hidden = isinstance(repo.owner, Org) and repo.owner.limited and user is None
    public = 0 if repo.private or hidden else 1
    if token is not None and token.job_of is not None:
        found = LEVELS.index("write") if repo is token.job_of else 0
    elif user is None or not user.active:
        found = public
    elif token is not None and token.repositories is not None and version.token_reducers:
        listed = repo in token.repositories
        found = max(public, user_level(user, repo, unit, admin=False)) if listed else public
    else:
        reduced = token is not None and token.reduced and version.token_reducers
        found = max(public, user_level(user, repo, unit, admin=not reduced))
    if unit == "repo.actions" and not repo.has_actions and not ignore_off:
        return 3 if found >= 3 and not version.api_needs_unit else 0
    return found


def user_level(user: User, repo: Repo, unit: str, admin: bool = True) -> int:
    """The index in LEVELS of a user's own right to a unit."""
    if user is repo.owner:
        return 4
    if user.admin and admin:
        return 3
    found = LEVELS.index(repo.collaborators.get(user, "none"))
    for team in repo.owner.teams if isinstance(repo.owner, Org) else ():
        if user in team.members:
            found = max(found, LEVELS.index(team.permission or team.units.get(unit, "none")))
    return found
