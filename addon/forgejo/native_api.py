"""What Forgejo's REST API tells a caller about runs and jobs by database id (v12 and later; jobs since v16)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from addon.errors import NotFound
from addon.forgejo.access import Grant
from addon.forgejo.parsers.values import changed
from addon.forgejo.rest import RUNS, RestApi, RouteMissing, json_object
from addon.forgejo.transport import QueryValues, Response


@dataclass(frozen=True, slots=True)
class RunIds:
    """A run's ids. `html_url` is its page by Forgejo's ROOT_URL."""

    id: int
    number: int
    repo_id: int
    owner_id: int
    html_url: str


class NativeApi:
    """Requests with the caller's own credentials. Every method needs a Grant and raises like `Access.read`."""

    def __init__(self, rest: RestApi) -> None:
        self._rest = rest

    def run(self, grant: Grant, run_id: int) -> RunIds | None:
        """The run with this id, if the repository has it. Raises NoRunIds before v12."""
        try:
            found = _ids(json_object(self._ask(grant, f"{RUNS}/{run_id:d}")))
        except NotFound:
            return None
        return found if found.id == run_id else None

    def run_of_number(self, grant: Grant, number: int) -> RunIds | None:
        """The run with this number. Raises NoRunIds before v12."""
        query = {"run_number": str(number), "page": "1", "limit": "1"}
        runs = json_object(self._ask(grant, RUNS, query)).get("workflow_runs")
        found = _ids(runs[0]) if runs else None
        return found if found and found.number == number else None

    def count(self, grant: Grant) -> int:
        """How many runs the repository has."""
        total = json_object(self._ask(grant, RUNS, {"page": "1", "limit": "1"})).get("total_count")
        return total if isinstance(total, int) else 0

    def newest(self, grant: Grant, skipped: int) -> RunIds | None:
        """The newest run but so many, where the list has the newest first (v15 and later)."""
        query = {"page": str(skipped + 1), "limit": "1"}
        runs = json_object(self._ask(grant, RUNS, query)).get("workflow_runs")
        return _ids(runs[0]) if runs else None

    def jobs(self, grant: Grant, run_id: int) -> Mapping[int, Mapping[str, Any]]:
        """Forgejo's own objects of a run's jobs, by id (v16 and later). Empty if there is no such run."""
        try:
            found = self._ask(grant, f"{RUNS}/{run_id:d}/jobs").json()
        except NotFound:
            return {}
        try:
            return {int(job["id"]): dict(job) for job in found}
        except (KeyError, TypeError, ValueError) as error:
            raise changed("API list of jobs", error) from None

    def _ask(self, grant: Grant, tail: str, query: QueryValues | None = None) -> Response:
        if self._rest.lacks(RUNS):
            raise NoRunIds
        try:
            return self._rest.ask_repo(grant.caller, grant.repo, tail, query=query).response
        except RouteMissing:
            raise NoRunIds from None


class NoRunIds(Exception):
    """This Forgejo (before v12) tells nobody a run's id."""


def _ids(run: Mapping[str, Any]) -> RunIds:
    try:
        repo = run["repository"]
        owner = int(repo["owner"]["id"])
        return RunIds(int(run["id"]), int(run["index_in_repo"]), int(repo["id"]), owner, str(run["html_url"]))
    except (KeyError, TypeError, ValueError) as error:
        raise changed("API object of a run", error) from None
