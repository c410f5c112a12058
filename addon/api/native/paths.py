"""Which requests are of the dialect by id, and what they ask for. Pure functions.

`jobs/{id}…` meets no route of the extension, so it is always taken where Forgejo lacks it. `runs/{id}/…` is taken only
if `actions_collisions` says that {x} is an id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

from addon.actions.by_id.errors import TargetMissing
from addon.api import routes
from addon.api.native.numbers import number_or_zero
from addon.errors import BadRequest
from addon.forgejo import versions
from addon.model import Repo
from addon.trace import Operation

GET, POST = "GET", "POST"
# The method of each route.
METHODS: Mapping[str, str] = {
    "runs/{id}/jobs": GET,
    "runs/{id}/logs": GET,
    "runs/{id}/artifacts": GET,
    "runs/{id}/cancel": POST,
    "runs/{id}/rerun": POST,
    "jobs/{id}": GET,
    "jobs/{id}/logs": GET,
    "jobs/{id}/rerun": POST,
}
JOB_LOGS = "jobs/{id}/logs"
# Parameters of a job's logs that are newer than the route.
NEWER_PARAMETERS = ("step", "q", "format")
LOGGED = ("attempt", "step", "q", "qi", "format")


class ByIdRequest(NamedTuple):
    """A request by id. Parameters that Forgejo does not know are ignored, as Forgejo does."""

    route: str
    repo: Repo
    id: int
    parameters: Mapping[str, str]

    @property
    def kind(self) -> str:
        """`job` or `run`."""
        return self.route.partition("s/")[0]

    @property
    def action(self) -> str:
        """What follows the id, often empty."""
        return self.route.rpartition("}")[2].removeprefix("/")


def is_ours(target: str, collisions: str, major: int | None) -> bool:
    """Whether the extension answers this raw request target, because Forgejo lacks the route. Never raises.

    With `major` None, the version is unknown: the extension can answer on every version. Before v12 nobody gets a
    run's id, so Forgejo's own 404 is the answer.
    """
    found = _route_and_id(routes.segments(target), collisions)
    if found is None or (major is not None and not versions.has("run_ids", major)):
        return False
    if not versions.has_route(found[0], major):
        return True
    older = major is not None and major < versions.NATIVE_LOG_PARAMETERS
    return found[0] == JOB_LOGS and older and any(_parameters(target).get(name) for name in NEWER_PARAMETERS)


def parse(target: str, collisions: str) -> ByIdRequest | None:
    """Parses a raw request target; None if it is not of this dialect. Raises TargetMissing for an impossible name."""
    segments = routes.segments(target)
    found = _route_and_id(segments, collisions)
    if found is None:
        return None
    try:
        repo = routes.repo_of(segments)
    except BadRequest:
        raise TargetMissing from None
    return ByIdRequest(found[0], repo, number_or_zero(found[1]), _parameters(target))


def operation(parsed: ByIdRequest) -> Operation:
    """The request for logs."""
    shown = {name: text for name, text in parsed.parameters.items() if parsed.route == JOB_LOGS and name in LOGGED}
    path = parsed.route.replace("{id}", str(parsed.id))
    return Operation("_".join(filter(None, (parsed.kind, "by_id", parsed.action))), str(parsed.repo), path, None, shown)


def _route_and_id(segments: Sequence[str], collisions: str) -> tuple[str, str] | None:
    """The route and the text in place of the id; None for another path."""
    if len(segments) < 8 or tuple(segments[:3]) != routes.PREFIX or segments[5] != "actions":
        return None
    kind, text = segments[6], segments[7]
    route = "/".join((kind, "{id}", *segments[8:]))
    if route not in METHODS or (kind == "runs" and (collisions != "native" or text in routes.BY_WORD)):
        return None
    return route, text


def _parameters(target: str) -> Mapping[str, str]:
    """The first value of each parameter, as Forgejo takes it."""
    query = target.partition("#")[0].partition("?")[2]
    found: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        found.setdefault(name, text)
    return found
