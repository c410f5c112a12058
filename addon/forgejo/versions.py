"""Which Forgejo version has what: the one table of facts by version. Every wing may read it; it is only data.

The extension asks for no version before it works. It recognizes a fact by what a response contains (`recognized`), so
an upgrade needs no restart. The version number is used where nothing else tells, and to inform clients.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

OLDEST, NEWEST_TESTED = 7, 17
VERSION = re.compile(r"([0-9]{1,4})\.")
DEVELOPMENT = "-dev"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that Forgejo has since a major version.

    `before` says how it was, `recognized` how the extension notices it, and `missing` what clients miss before.
    """

    since: int
    text: str
    before: str
    recognized: str
    missing: str = ""


FACTS: Mapping[str, Fact] = {
    "events": Fact(
        since=9,
        text="The API lists tasks, with the event that triggered their run.",
        before="Nothing tells the event of a run.",
        recognized="`GET actions/tasks` is a route",
        missing="events of runs",
    ),
    "unit_probes": Fact(
        since=9,
        text="Permission checks use API routes that need the Actions unit.",
        before="They use the repository's object and its teams, and are stricter than Forgejo.",
        recognized="`GET actions/tasks` and `POST actions/workflows/{file}/dispatches` are routes",
    ),
    "artifact_ranges": Fact(
        since=9,
        text="An artifact's download has a length and takes Range.",
        before="It has neither.",
        recognized="the download's headers",
        missing="parts of artifacts",
    ),
    "run_states": Fact(
        since=11,
        text="A run can be cancelled, skipped or blocked. Before v17 it can be final while some of its jobs still run.",
        before="A cancelled run has the status failure, a skipped one success, a blocked one waiting.",
        recognized="nothing: messages name both",
    ),
    "run_ids": Fact(
        since=12,
        text="The API lists runs, with their database ids and times.",
        before="The extension lists runs from the web page; their ids and most times are null.",
        recognized="`GET actions/runs` is a route",
        missing="ids and times of runs",
    ),
    "attempts": Fact(
        since=13,
        text="Each attempt of a job has a page and a log of its own, and a number.",
        before="Only the newest attempt can be read, and it has no number.",
        recognized="a job's page redirects to `/attempt/{n}`, and its JSON has `allAttempts`",
        missing="earlier attempts",
    ),
    "newest_first": Fact(
        since=15,
        text="The API lists runs with the newest first.",
        before="The list has no order.",
        recognized="the version number",
    ),
    "rerun_deletes_artifacts": Fact(
        since=15,
        text="A rerun deletes all artifacts of the run, and is refused while the run or job is unfinished.",
        before="It keeps them, and of an unfinished run it silently reruns only the finished jobs.",
        recognized="`description` in the JSON of a run's page",
    ),
    "native_routes": Fact(
        since=16,
        text="Forgejo has routes of its own for jobs, logs, artifacts and cancel, by database id.",
        before="The extension alone has such routes.",
        recognized="the version number",
    ),
    "native_rerun": Fact(
        since=17,
        text="Forgejo has routes of its own for rerun and for one job with its steps, by database id.",
        before="The extension alone has such routes.",
        recognized="the version number",
    ),
    "final_when_done": Fact(
        since=17,
        text="A run has the status failure or cancelled only when all of its jobs are done.",
        before="One failed job is enough, while others still run.",
        recognized="`done` in the JSON of a run's page: it is checked on every version",
    ),
}

# Forgejo's own routes below /repos/{owner}/{repo}/actions that meet routes of the extension: since when. {id} is a
# database id. A route that a version lacks is answered 404 with the text `404 page not found`.
NATIVE_ROUTES: Mapping[str, int] = {
    "runs/{id}/jobs": 16,
    "runs/{id}/logs": 16,
    "runs/{id}/artifacts": 16,
    "runs/{id}/cancel": 16,
    "runs/{id}/rerun": 17,
    "jobs/{id}": 17,
    "jobs/{id}/logs": 16,
    "jobs/{id}/rerun": 17,
}
# The parameters step, q, qi and format of Forgejo's `jobs/{id}/logs`: since when. Before, it ignores them.
NATIVE_LOG_PARAMETERS = 17


def major(version: str | None) -> int | None:
    """The major version of `15.0.3+gitea-1.22.0`; None if it is unknown."""
    found = VERSION.match(version or "")
    return int(found[1]) if found else None


def routes_major(version: str | None) -> int | None:
    """The major version whose routes this version surely has. A development version may lack the newest ones."""
    number = major(version)
    return number - 1 if number is not None and DEVELOPMENT in (version or "") else number


def has(fact: str, major_version: int | None) -> bool | None:
    """Whether a version has what the fact says; None if the version is unknown."""
    return None if major_version is None else major_version >= FACTS[fact].since


def has_route(route: str, major_version: int | None) -> bool | None:
    """Whether a version has this route of NATIVE_ROUTES; None if the version is unknown."""
    return None if major_version is None else major_version >= NATIVE_ROUTES[route]


def run_route(action: str) -> str:
    """The route of NATIVE_ROUTES for an action on a run, such as `jobs`. Not every action has one."""
    return f"runs/{{id}}/{action}"


def native_run_actions(major_version: int) -> tuple[str, ...]:
    """The actions on a run for which this version has routes: there an id could be taken for a run number."""
    names = [route.removeprefix("runs/{id}/") for route, since in NATIVE_ROUTES.items() if major_version >= since]
    return tuple(name for name in names if "/" not in name)


def dialect(collisions: str, major_version: int | None = None) -> str:
    """What {x} is in `runs/{x}/…` with this value of `actions_collisions`, and how to have the other; one line."""
    if collisions == "native":
        return (
            "runs/{x}/… takes database ids, like Forgejo's own API; run numbers: runs/by-number/{number}/…, "
            "or set actions_collisions: extension"
        )
    names = native_run_actions(major_version or 0)
    own = f" (Forgejo {major_version} itself: ids for {', '.join(names)})" if names else ""
    return f"runs/{{x}}/… takes run numbers{own}; for database ids, set actions_collisions: native"
