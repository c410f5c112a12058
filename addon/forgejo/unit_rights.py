"""Permission checks before v9, whose REST API has no route that needs the Actions unit.

The repository's object shows only the caller's rights to the Code unit. The two can differ where an organisation's
teams have rights by unit. So this check is stricter than Forgejo: every team must have the right to Actions, unless
anonymous callers may read the repository. Forgejo refuses a restricted user what all others may read. So a repository
that is not private may still be closed to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from addon.caller import Caller
from addon.errors import Forbidden, NotFound, Unauthorized, UpstreamUnexpected
from addon.forgejo.rest import RestApi, archived, json_object
from addon.model import Repo


def check_read(rest: RestApi, caller: Caller, repo: Repo) -> Repo:
    """The repository by its present name, if the caller may read its Actions. Raises like `Access.read`."""
    return _readable(rest, caller, repo)[1]


def check_write(rest: RestApi, caller: Caller, repo: Repo) -> Repo:
    """The repository by its present name, if the caller may write its Actions. Raises like `Access.write`."""
    found, repo = _readable(rest, caller, repo)
    rights = found.get("permissions") or {}
    if rights.get("push") is not True and rights.get("admin") is not True:
        raise Forbidden(f"you may not write to {repo}")
    if found.get("archived") is not False:
        raise archived(repo)
    # The object shows the owner's rights also to a token that may only read. Creating a branch without a name is
    # refused only after the token's scope and the right to write were checked.
    rest.ask_repo(caller, repo, "/branches", {}, accept=(422,))
    if rights.get("admin") is not True:
        _check_teams(rest, caller, repo, rights, ("write", "admin", "owner"))
    return repo


def _readable(rest: RestApi, caller: Caller, repo: Repo) -> tuple[Mapping[str, Any], Repo]:
    found, repo = _seen(rest, caller, repo)
    if found.get("private") is not False or not _is_open(rest, caller, repo):
        # Also for administrators: this request refuses a public-only token, which the object's does not.
        _check_teams(rest, caller, repo, found.get("permissions") or {}, ("read", "write", "admin", "owner"))
    return found, repo


def _seen(rest: RestApi, caller: Caller, repo: Repo) -> tuple[Mapping[str, Any], Repo]:
    """The repository's object, if Actions are on and the caller may read its code."""
    answer = rest.ask_repo(caller, repo, "")
    found, repo = json_object(answer.response), answer.repo
    if "has_actions" not in found:
        raise UpstreamUnexpected("Forgejo's API object of a repository does not tell of Actions")
    if found.get("has_actions") is not True or (found.get("permissions") or {}).get("pull") is not True:
        raise Forbidden(f"you may not read the Actions of {repo}, or they are turned off")
    return found, repo


def _is_open(rest: RestApi, caller: Caller, repo: Repo) -> bool:
    """Whether the repository is open to everybody: a request without credentials sees it too."""
    if caller.is_anonymous:
        return True
    try:
        _seen(rest, caller.anonymous(), repo)
    except (Unauthorized, Forbidden, NotFound):
        return False
    return True


def _check_teams(
    rest: RestApi, caller: Caller, repo: Repo, rights: Mapping[str, Any], sufficient: tuple[str, ...]
) -> None:
    answer = rest.ask_repo(caller, repo, "/teams", accept=(200, 405))
    if answer.response.status == 405 or rights.get("admin") is True:
        return  # owned by a user: a collaborator has the same right to every unit
    teams = answer.response.json()
    if not isinstance(teams, list):
        raise UpstreamUnexpected("Forgejo's list of teams is no list")
    for team in teams:
        if team.get("permission") in ("admin", "owner"):
            continue
        if (team.get("units_map") or {}).get("repo.actions", "none") not in sufficient:
            raise Forbidden(
                f"a team of {repo} has no such right to Actions, and this Forgejo (before v9) can't tell "
                "whether yours has"
            )
