"""What the caller may do: questions to Forgejo's REST API with the caller's own credentials.

Forgejo decides, no answer is remembered, and the administrator's session is unknown here. A probe must need the
Actions unit, not just the repository; one whose answer is useful as well serves both.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from addon import trace
from addon.api.routes import NAME
from addon.caller import Caller
from addon.errors import ApiError, Busy, Conflict, Forbidden, NotFound, RunNotFound, Unauthorized, UpstreamUnexpected
from addon.forgejo.pages import run_page
from addon.forgejo.transport import Answer, QueryValues, Transport
from addon.model import Repo, RunDetails

ROUTE_MISSING = b"404 page not found"
# A page past the end costs a third of one that renders an object.
PAST_THE_END = {"page": "1000000", "limit": "1"}
RECHECK_AFTER = 60.0
API_PATH = re.compile(r"(?:/.*)?/api/v1/repos/([^/]+)/([^/]+)(?:/.*)?")


@dataclass(frozen=True, slots=True)
class Grant:
    """Forgejo's yes to a caller: the repository by its present name, and what else its answer told.

    `listed` says whether this version lists runs (v12 and later), so that `details` of a run can be asked for.
    """

    repo: Repo
    caller: Caller
    listed: bool = False
    details: RunDetails | None = None


class _RouteMissing(Exception):
    """This Forgejo version has no such API route."""


class Access:
    """Asks one Forgejo what callers may do."""

    def __init__(self, transport: Transport, learn: Callable[[bool], None] = lambda _: None) -> None:
        """`learn` is told whether this Forgejo lists runs, each time that it shows."""
        self._transport = transport
        self._learn = learn
        self._missing_until: dict[str, float] = {}

    @trace.decision("read")
    def read(self, caller: Caller, repo: Repo, number: int | None = None) -> Grant:
        """May the caller read this repository's Actions? With a run's `number` the answer tells of the run as well.

        It never tells which run is the newest: some versions list the oldest first. Raises Unauthorized, Forbidden
        or NotFound.
        """
        try:
            return self._read_runs(caller, repo, number)
        except _RouteMissing:
            self._learn(False)
        try:
            answer, repo = self._ask_if_there(caller, repo, "/actions/tasks", query=PAST_THE_END)
            list_of_runs(answer)
            return Grant(repo, caller)
        except _RouteMissing:
            return Grant(self._read_approximately(caller, repo)[1], caller)

    @trace.decision("write")
    def write(self, caller: Caller, repo: Repo) -> Grant:
        """May the caller start runs here? Raises like `read`, and Conflict for an archived repository.

        A dispatch without a ref is refused by the handler itself, after every check and before it does anything.
        """
        try:
            answer, repo = self._ask_if_there(caller, repo, "/actions/workflows/_/dispatches", {}, accept=(400,))
        except _RouteMissing:
            return Grant(self._write_approximately(caller, repo), caller)
        if "ref is empty" not in str(_object(answer).get("message")):
            raise UpstreamUnexpected("Forgejo refused the permission check for a reason that is not known")
        return Grant(repo, caller)

    def ask_on(self, grant: Grant, tail: str, query: QueryValues | None = None) -> Answer | None:
        """A further question with the caller's credentials; None where this version has no such route.

        Raises like `read`.
        """
        try:
            return self._ask_if_there(grant.caller, grant.repo, tail, query=query)[0]
        except _RouteMissing:
            return None

    def lacks(self, tail: str) -> bool:
        """Whether this version was seen to have no such route, not long ago."""
        return time.monotonic() < self._missing_until.get(tail, 0.0)

    def user_id(self, grant: Grant, name: str) -> int | None:
        """An account's database id, if the caller is told."""
        if not NAME.fullmatch(name) or name in (".", ".."):
            return None
        headers = {"Accept": "application/json", **grant.caller.headers}
        answer = self._transport.request("GET", f"/api/v1/users/{name}", headers, grant.caller.parameters)
        found = _object(answer).get("id") if answer.status == 200 else None
        return found if isinstance(found, int) and found > 0 else None

    def login(self, caller: Caller) -> str | None:
        """Whose the credentials are, by Forgejo's word; None where it doesn't tell, as of a token without that scope.

        Never who is acted for: `sudo` is left out.
        """
        headers = {name: value for name, value in caller.headers.items() if name != "Sudo"}
        parameters = {name: value for name, value in caller.parameters.items() if name != "sudo"}
        try:
            answer = self._transport.request(
                "GET", "/api/v1/user", {"Accept": "application/json", **headers}, parameters
            )
            login = _object(answer).get("login") if answer.status == 200 else None
        except ApiError:
            return None
        return login if isinstance(login, str) else None

    def _read_runs(self, caller: Caller, repo: Repo, number: int | None) -> Grant:
        query = PAST_THE_END if number is None else {"run_number": str(number), "page": "1", "limit": "1"}
        answer, repo = self._ask_if_there(caller, repo, "/actions/runs", query=query)
        runs = list_of_runs(answer)
        self._learn(True)
        if number is None:
            return Grant(repo, caller, listed=True)
        return Grant(repo, caller, listed=True, details=_details(runs, number))

    def _read_approximately(self, caller: Caller, repo: Repo) -> tuple[Mapping[str, Any], Repo]:
        """v7 and v8 have no API route that needs the Actions unit. The repository's object tells of the Code unit only;
        the two differ where an organisation's teams have rights by unit, so there every team must have Actions."""
        answer, repo = self._ask(caller, repo, "")
        found = _object(answer)
        rights = found.get("permissions") or {}
        if "has_actions" not in found:
            raise UpstreamUnexpected("Forgejo's API object of a repository does not tell of Actions")
        if found.get("has_actions") is not True or rights.get("pull") is not True:
            raise Forbidden(f"you may not read the Actions of {repo}, or they are turned off")
        if found.get("private") is not False:
            # Asked of administrators too: it refuses a public-only token, which the object above does not.
            self._check_teams(caller, repo, rights, ("read", "write", "admin", "owner"))
        return found, repo

    def _write_approximately(self, caller: Caller, repo: Repo) -> Repo:
        found, repo = self._read_approximately(caller, repo)
        rights = found.get("permissions") or {}
        if rights.get("push") is not True and rights.get("admin") is not True:
            raise Forbidden(f"you may not write to {repo}")
        if found.get("archived") is not False:
            raise _archived(repo)
        # A token that may only read shows its owner's rights. A branch without a name is refused only after the
        # token's scope and the right to write were checked.
        self._ask(caller, repo, "/branches", {}, accept=(422,))
        if rights.get("admin") is not True:
            self._check_teams(caller, repo, rights, ("write", "admin", "owner"))
        return repo

    def _check_teams(self, caller: Caller, repo: Repo, rights: Mapping[str, Any], enough: tuple[str, ...]) -> None:
        answer, _ = self._ask(caller, repo, "/teams", accept=(200, 405))
        if answer.status == 405 or rights.get("admin") is True:
            return  # owned by a user: collaborators' rights are the same for every unit
        teams = answer.json()
        if not isinstance(teams, list):
            raise UpstreamUnexpected("Forgejo's list of teams is no list")
        for team in teams:
            if team.get("permission") in ("admin", "owner"):
                continue
            if (team.get("units_map") or {}).get("repo.actions", "none") not in enough:
                raise Forbidden(
                    f"a team of {repo} has no such right to Actions, and this Forgejo (before v9) can't tell "
                    "whether yours has"
                )

    def _ask_if_there(
        self, caller: Caller, repo: Repo, tail: str, body: object = None, **rest: Any
    ) -> tuple[Answer, Repo]:
        """Like `_ask`. A route that this version lacks is not asked for again soon; later, in case of an upgrade."""
        if self.lacks(tail):
            raise _RouteMissing
        try:
            return self._ask(caller, repo, tail, body, **rest)
        except _RouteMissing:
            self._missing_until[tail] = time.monotonic() + RECHECK_AFTER
            raise

    def _ask(
        self,
        caller: Caller,
        repo: Repo,
        tail: str,
        body: object | None = None,
        query: QueryValues | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> tuple[Answer, Repo]:
        """Forgejo's answer and the repository's present name; a rename's redirect is asked again, once."""
        for _ in range(2):
            answer = self._transport.request(
                "GET" if body is None else "POST",
                f"/api/v1/repos/{quote(repo.owner, safe='')}/{quote(repo.name, safe='')}{tail}",
                {"Accept": "application/json", **caller.headers},
                {**caller.parameters, **(query or {})},
                json_body=body,
            )
            if answer.status not in (301, 302, 307, 308):
                break
            repo = _renamed(answer)
        if answer.status in accept and (answer.status == 200 or answer.media_type == "application/json"):
            return answer, repo
        raise _refusal(caller, repo, answer)


def _details(runs: list[Mapping[str, Any]], number: int) -> RunDetails:
    """What the API tells of the run that was asked for. Raises NotFound, or UpstreamUnexpected for another run."""
    if not runs:
        raise RunNotFound(f"no run {number}", number)
    if runs[0].get("index_in_repo") != number:
        raise UpstreamUnexpected("Forgejo's API answered with another run")
    return run_page.run_details(runs[0])


def list_of_runs(answer: Answer) -> list[Mapping[str, Any]]:
    """The entries of the API's lists of runs and of tasks. Raises UpstreamUnexpected."""
    runs = _object(answer).get("workflow_runs")
    if runs is None and answer.json().get("total_count") is not None:
        return []
    if not isinstance(runs, list):
        raise UpstreamUnexpected("Forgejo's API list has no workflow_runs")
    return runs


def _object(answer: Answer) -> Mapping[str, Any]:
    value = answer.json()
    if not isinstance(value, dict):
        raise UpstreamUnexpected("Forgejo's API answered JSON that is no object")
    return value


def _renamed(answer: Answer) -> Repo:
    """The present name, from the redirect of a renamed repository. Only its path counts, never its host."""
    match = API_PATH.fullmatch(answer.location)
    names = [unquote(part) for part in match.groups()] if match else []
    if len(names) != 2 or not all(NAME.fullmatch(name) and name not in (".", "..") for name in names):
        raise UpstreamUnexpected("Forgejo's API redirects to something that is no repository")
    return Repo(*names)


def _refusal(caller: Caller, repo: Repo, answer: Answer) -> Exception:
    """Forgejo's no, in our words or its own, without the token that some versions quote."""
    if answer.status == 404:
        if answer.media_type == "text/plain" and answer.body.strip() == ROUTE_MISSING:
            return _RouteMissing()
        return NotFound(f"no repository {repo} with Actions that you may see")
    kinds: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden}
    if kind := kinds.get(answer.status):
        return kind(caller.redact(_message(answer))[:300] or "Forgejo refuses these credentials")
    if answer.status == 423:
        return _archived(repo)
    if answer.status in (429, 503):
        return Busy("Forgejo is too busy to check the credentials")
    return UpstreamUnexpected(f"Forgejo answered {answer.status} to the permission check")


def _archived(repo: Repo) -> Conflict:
    return Conflict(f"{repo} is archived: nothing can be rerun or cancelled")


def _message(answer: Answer) -> str:
    """Empty if there is none."""
    try:
        message = _object(answer).get("message")
    except UpstreamUnexpected:
        return ""
    return message if isinstance(message, str) else ""
