"""Permission checks: what a caller may do is asked of Forgejo's REST API, with the caller's own credentials.

Forgejo decides, and no decision is remembered. A check uses a route that needs the Actions unit, not only the
repository. Where the same response also has useful data, one request serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from addon import trace
from addon.caller import Caller
from addon.errors import ApiError, RunNotFound, UpstreamUnexpected
from addon.forgejo import unit_rights
from addon.forgejo.parsers import api_objects
from addon.forgejo.rest import RUNS, TASKS, RestApi, RouteMissing, json_object
from addon.model import Repo, RunDetails

# A page past the end: it costs Forgejo a third of one that renders an object.
PAST_THE_END = {"page": "1000000", "limit": "1"}
FIRST = {"page": "1", "limit": "1"}


@dataclass(frozen=True, slots=True)
class Grant:
    """Proof that Forgejo allows a caller to read or write Actions of a repository, which has its present name here.

    `lists_runs` says whether this version's API lists runs (v12 and later). The permission check may have returned more
    on the way: `newest` is the number of the newest run, 0 if there is no run; `details` are those of that run, or of
    the one that was asked for. None is unknown.
    """

    repo: Repo
    caller: Caller
    lists_runs: bool = False
    details: RunDetails | None = None
    newest: int | None = None


class Access:
    """Permission checks of one Forgejo."""

    def __init__(
        self,
        rest: RestApi,
        on_lists_runs: Callable[[bool], None] = lambda _: None,
        newest_first: Callable[[], bool] = lambda: False,
    ) -> None:
        """`on_lists_runs` is called each time a check shows whether this Forgejo lists runs.

        `newest_first` tells whether its list has the newest run first (v15 and later).
        """
        self._rest = rest
        self._on_lists_runs = on_lists_runs
        self._newest_first = newest_first

    @trace.decision("read")
    def read(self, caller: Caller, repo: Repo, number: int | None = None, newest: bool = False) -> Grant:
        """May the caller read this repository's Actions? Raises Unauthorized, Forbidden or NotFound.

        With a run's `number`, the grant also has its details. With `newest`, it has the newest run's number and details
        if the list has an order.
        """
        try:
            return self._read_runs(caller, repo, number, newest and number is None and self._newest_first())
        except RouteMissing:
            self._on_lists_runs(False)
        try:
            answer = self._rest.probe_repo(caller, repo, TASKS, query=PAST_THE_END)
            api_objects.run_list(answer.response.json())
            return Grant(answer.repo, caller)
        except RouteMissing:
            return Grant(unit_rights.check_read(self._rest, caller, repo), caller)

    @trace.decision("write")
    def write(self, caller: Caller, repo: Repo) -> Grant:
        """May the caller start runs here? Raises like `read`, and Conflict for an archived repository.

        The check is a dispatch without a ref. Forgejo refuses it after all permission checks and before it does
        anything.
        """
        try:
            answer = self._rest.probe_repo(caller, repo, "/actions/workflows/_/dispatches", {}, accept=(400,))
        except RouteMissing:
            return Grant(unit_rights.check_write(self._rest, caller, repo), caller)
        if "ref is empty" not in str(json_object(answer.response).get("message")):
            raise UpstreamUnexpected("Forgejo refused the permission check for a reason that is not known")
        return Grant(answer.repo, caller)

    def login(self, caller: Caller) -> str | None:
        """The account that the credentials belong to; None if Forgejo doesn't say (a token without `read:user`).

        With `sudo`, it is still the account of the credentials, not the one that is acted for.
        """
        headers = {name: value for name, value in caller.headers.items() if name != "Sudo"}
        parameters = {name: value for name, value in caller.parameters.items() if name != "sudo"}
        try:
            response = self._rest.get(Caller(headers, parameters), "/user")
            login = json_object(response).get("login") if response.status == 200 else None
        except ApiError:
            return None
        return login if isinstance(login, str) else None

    def _read_runs(self, caller: Caller, repo: Repo, number: int | None, newest: bool) -> Grant:
        query = FIRST if newest else PAST_THE_END if number is None else {"run_number": str(number), **FIRST}
        answer = self._rest.probe_repo(caller, repo, RUNS, query=query)
        runs = api_objects.run_list(answer.response.json())
        self._on_lists_runs(True)
        grant = Grant(answer.repo, caller, lists_runs=True)
        if number is not None:
            return replace(grant, details=_details(runs, number))
        if newest:
            found = api_objects.listed_run(runs[0]).number if runs else 0
            return replace(grant, newest=found, details=api_objects.run_details(runs[0]) if runs else None)
        return grant


def _details(runs: list[Mapping[str, Any]], number: int) -> RunDetails:
    """The details of the run that was asked for. Raises RunNotFound, or UpstreamUnexpected for another run."""
    if not runs:
        raise RunNotFound(f"no run {number}", number)
    if runs[0].get("index_in_repo") != number:
        raise UpstreamUnexpected("Forgejo's API answered with another run")
    return api_objects.run_details(runs[0])
