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
    """Whether the repository exists for the principal: any right to any unit will do.

    A token's limits take the rights to an organisation's repository away, but not its existence.
    """
    if isinstance(repo.owner, Org) and principal.user and not principal.user.admin and _limits(version, principal):
        principal = Principal(principal.label, principal.user)
    return any(_level(version, principal, repo, unit, ignore_off=True) for unit in UNITS)


def _level(version: Version, principal: Principal, repo: Repo, unit: str, ignore_off: bool = False) -> int:
    user, token = principal.user, principal.token
    public = int(_is_open_to(user, repo))
    if token is not None and token.job_of is not None:
        found = LEVELS.index("write") if repo is token.job_of else 0
    elif user is None:
        found = public
    else:
        found = max(public, user_level(user, repo, unit))
        limits = _limits(version, principal)
        if limits and repo not in (limits.repositories or ()):
            found = min(found, 1 if limits.repositories else found) if _is_open_to(None, repo) else 0
    if unit == "repo.actions" and not repo.has_actions and not ignore_off:
        return 3 if found >= 3 and not version.api_needs_unit else 0
    return found


def _limits(version: Version, principal: Principal) -> Token | None:
    """The principal's token, if it does not reach all repositories, in a version that heeds that everywhere."""
    token = principal.token
    return token if token is not None and token.reduced and version.token_reducers else None


def _is_open_to(user: User | None, repo: Repo) -> bool:
    """Whether a user may read the repository without a right of his own: restricted users never may."""
    if repo.private or (user is not None and user.restricted):
        return False
    if not isinstance(repo.owner, Org) or repo.owner.visibility == "public":
        return True
    if user is None:
        return False
    return repo.owner.visibility == "limited" or any(user in team.members for team in repo.owner.teams)


def user_level(user: User, repo: Repo, unit: str) -> int:
    """The index in LEVELS of a user's own right to a unit."""
    if user is repo.owner:
        return 4
    if user.admin:
        return 3
    found = LEVELS.index(repo.collaborators.get(user, "none"))
    for team in repo.owner.teams if isinstance(repo.owner, Org) else ():
        if user in team.members:
            found = max(found, LEVELS.index(team.permission or team.units.get(unit, "none")))
    return found
