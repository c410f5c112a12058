"""What Forgejo's REST API tells a caller about runs and jobs by database id, and lets him do with them.

It tells runs since v12 and jobs since v16. Where it has a route for a change, the administrator's session is not used:
Forgejo checks the caller's rights once more, and its records name the caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from addon import trace
from addon.errors import Conflict, NotFound, RunNotFound, UpstreamUnexpected
from addon.forgejo.access import Grant
from addon.forgejo.parsers import api_objects
from addon.forgejo.parsers.values import changed
from addon.forgejo.rest import RUNS, RestApi, RouteMissing, json_object
from addon.forgejo.transport import QueryValues, Response
from addon.model import Artifact, Job, Run

# Artifacts per request, and how many requests at most.
PER_PAGE, MOST_PAGES = 50, 20
SIDE_BY_SIDE = 4


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

    def job(self, grant: Grant, job_id: int) -> Mapping[str, Any]:
        """Forgejo's own object of a job, with its steps (v17 and later). Empty if there is no such job."""
        try:
            return json_object(self._ask(grant, f"/actions/jobs/{job_id:d}"))
        except NotFound:
            return {}

    def _ask(self, grant: Grant, tail: str, query: QueryValues | None = None) -> Response:
        if self._rest.lacks(RUNS):
            raise NoRunIds
        try:
            return self._rest.ask_repo(grant.caller, grant.repo, tail, query=query).response
        except RouteMissing:
            raise NoRunIds from None


class JobFacts:
    """What only Forgejo's API tells about jobs, to the caller himself: their needs (v16), their steps' times (v17)."""

    def __init__(self, native: NativeApi, has_route: Callable[[str], bool | None]) -> None:
        """`has_route` tells whether this Forgejo has a route of NATIVE_ROUTES."""
        self._native, self._has_route = native, has_route

    def of_run(self, grant: Grant, run: Run) -> Run:
        """The run, each of its jobs with attempt, needs and labels."""
        if run.id is None or not self._has_route("runs/{id}/jobs"):
            return run
        try:
            told = self._native.jobs(grant, run.id)
        except NoRunIds:
            return run
        return replace(run, jobs=tuple(_with_needs(job, told.get(job.id)) for job in run.jobs))

    def of_job(self, grant: Grant, run: Run) -> Run:
        """The run, the job in detail with its steps' times if it shows the newest attempt."""
        detail = run.detail
        if not detail.started or not self._has_route("jobs/{id}"):
            return run
        try:
            told = self._native.job(grant, run.jobs[detail.index].id)
        except NoRunIds:
            return run
        times = api_objects.step_times(told)
        if told.get("attempt") != detail.attempt or len(times) != len(detail.steps):
            return run
        pairs = zip(detail.steps, times, strict=True)
        steps = tuple(replace(step, started_at=started, stopped_at=stopped) for step, (started, stopped) in pairs)
        return replace(run, detail=replace(detail, steps=steps))


def _with_needs(job: Job, told: Mapping[str, Any] | None) -> Job:
    if told is None:
        return job
    found = api_objects.job(job.index, told)
    return replace(job, attempt=found.attempt, needs=found.needs, runs_on=found.runs_on)


class CallersRuns:
    """One repository's runs, read and changed by a caller with a Grant (v16). Every method may raise RouteMissing."""

    def __init__(self, rest: RestApi, grant: Grant) -> None:
        self._rest, self._grant = rest, grant

    def latest(self) -> int:
        """The number of the newest run. Raises RunNotFound."""
        runs = api_objects.run_list(self._get(RUNS, {"page": "1", "limit": "1"}))
        if not runs:
            raise RunNotFound(f"{self._grant.repo} has no runs")
        return int(runs[0]["index_in_repo"])

    def run(self, number: int) -> Run:
        """The run of a number. Raises RunNotFound."""
        runs = api_objects.run_list(self._get(RUNS, {"run_number": str(number), "page": "1", "limit": "1"}))
        if not runs:
            raise RunNotFound(f"no run {number}", number)
        if runs[0].get("index_in_repo") != number:
            raise UpstreamUnexpected("Forgejo's API answered with another run")
        return api_objects.run(self._grant.repo, runs[0], self._get(f"{RUNS}/{runs[0]['id']}/jobs"))

    def again(self, run: Run, job: Job) -> Run:
        """The run's present state."""
        return self.run(run.number)

    def cancel(self, run: Run) -> None:
        """Cancels the run's unfinished jobs."""
        self._post(f"{RUNS}/{run.id}/cancel")

    def rerun(self, run: Run, job: Job | None) -> int | None:
        """Reruns the run or one job (v17). Raises Conflict if Forgejo refuses. It does not tell the new attempt."""
        self._post(f"{RUNS}/{run.id}/rerun" if job is None else f"/actions/jobs/{job.id}/rerun")
        return None

    def artifacts(self, run: Run) -> tuple[Artifact, ...]:
        """The run's artifacts, the first one first."""
        found: list[Artifact] = []
        for page in range(1, MOST_PAGES + 1):
            each = self._get(f"{RUNS}/{run.id}/artifacts", {"page": str(page), "limit": str(PER_PAGE)})
            if not isinstance(each, list):
                raise UpstreamUnexpected("Forgejo's API list of artifacts is no list")
            found += map(api_objects.artifact, each)
            if len(each) < PER_PAGE:
                break
        return tuple(reversed(found))

    def in_order(self, run: Run, jobs: Sequence[Job]) -> list[Job]:
        """The jobs in the order of their starts (v17)."""
        with trace.pool(SIDE_BY_SIDE) as pool:
            found = pool.map(lambda job: api_objects.step_times(self._get(f"/actions/jobs/{job.id}")), jobs)
            starts = {job.id: _seconds(times[0][0] if times else None) for job, times in zip(jobs, found, strict=True)}
        return sorted(jobs, key=lambda job: (starts[job.id], job.index))

    def _get(self, tail: str, query: QueryValues | None = None) -> Any:
        return self._rest.ask_repo(self._grant.caller, self._grant.repo, tail, query=query).response.json()

    def _post(self, tail: str) -> None:
        answer = self._rest.ask_repo(self._grant.caller, self._grant.repo, tail, {}, accept=(204, 400)).response
        if answer.status == 400:
            raise Conflict(f"Forgejo refuses: {json_object(answer).get('message')}")


def _seconds(moment: datetime | None) -> float:
    """For an order of times, in which an unknown one is the last."""
    return math.inf if moment is None else moment.timestamp()


class NoRunIds(Exception):
    """This Forgejo (before v12) tells nobody a run's id."""


def _ids(run: Mapping[str, Any]) -> RunIds:
    try:
        repo = run["repository"]
        owner = int(repo["owner"]["id"])
        return RunIds(int(run["id"]), int(run["index_in_repo"]), int(repo["id"]), owner, str(run["html_url"]))
    except (KeyError, TypeError, ValueError) as error:
        raise changed("API object of a run", error) from None
