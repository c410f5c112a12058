"""Which requests belong to the extension, and what they ask for. Pure functions.

`is_ours` is lenient: it catches every spelling that Forgejo might accept for an extension path. `parse` is strict: what
it does not understand is a 400. So no text of the caller's path ever becomes part of another URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple
from urllib.parse import unquote

from addon.actions.query import NEWEST, Parameters, Query
from addon.api import parameters
from addon.api.body import NO_BODY, Body
from addon.api.parameters import NUMBER, shown
from addon.errors import BadRequest, MethodNotAllowed, NotFound
from addon.forgejo.versions import NATIVE_ROUTES, run_route
from addon.model import Repo, is_name
from addon.settings import MOST_WAIT
from addon.trace import Operation

Action = Literal[
    "info", "jobs", "job", "logs", "summary", "rerun", "cancel", "artifacts", "artifact", "attempts", "runs", "list"
]
READ, WRITE = "GET, HEAD", "POST"


@dataclass(frozen=True, slots=True)
class Route:
    """The methods and parameters of an action."""

    methods: str
    parameters: frozenset[str]


class ParsedRequest(NamedTuple):
    """An action, and what it is about."""

    action: Action
    query: Query


PREFIX = ("api", "v1", "repos")
# The extension's pages about itself.
ABOUT = ("api", "v1", "actions-extensions")
BY_NUMBER = "by-number"
# What stands in the place of a run and is neither a number nor an id.
BY_WORD = ("latest", BY_NUMBER)
ONE_JOB = frozenset({"job", "attempt"})
SELECTING = frozenset({"workflow_id", "branch", "event", "status", "actor", "head_sha"})
PAGING = frozenset({"page", "limit"})
WAITING = frozenset({"wait", "wait_for"})
LOG = frozenset({"follow", "tail", "step", "failed_steps", "timestamps", "ansi", "format"})
ROUTES: Mapping[Action, Route] = {
    "info": Route(READ, SELECTING | WAITING),
    "jobs": Route(READ, SELECTING | ONE_JOB | WAITING | PAGING | {"steps"}),
    "logs": Route(READ, SELECTING | ONE_JOB | LOG),
    "summary": Route(READ, SELECTING | WAITING | {"lines", "format"}),
    "rerun": Route(WRITE, SELECTING | {"job", "dry_run", "keep_artifacts"}),
    "cancel": Route(WRITE, SELECTING | {"dry_run"}),
    "attempts": Route(READ, SELECTING | PAGING | {"job"}),
    "artifacts": Route(READ, SELECTING | PAGING),
    "artifact": Route(READ, SELECTING),
    "job": Route(READ, SELECTING | WAITING | {"attempt"}),
    "runs": Route(READ, SELECTING | PAGING | {"run_number", "ref"}),
    "list": Route(READ, SELECTING | PAGING | {"run_number", "ref"}),
}
# Actions about one thing: their paths are those of the action about all, with a name or index behind.
ONE_OF: Mapping[str, Action] = {"jobs": "job", "artifacts": "artifact"}
# How many parts of a path are caught. An artifact's name with an unencoded slash gets an error that says so.
MOST_PARTS = {"jobs": 2, "artifacts": 99}
# The list of runs at Forgejo's own path, and the one at `runs/by-number`, which is the extension's on every version.
LISTS: tuple[Action, ...] = ("runs", "list")
# Actions whose name is in the path, after the run.
NAMED: Mapping[str, Action] = {str(name): name for name in ROUTES if name not in ("info", *LISTS, *ONE_OF.values())}
ALL_OF: Mapping[str, str] = {one: name for name, one in ONE_OF.items()}
# Forgejo's pages strip these endings from a repository's name and its API doesn't. With one, the permission of one
# repository would be checked and the pages of another one read.
ENDINGS = (".git", ".rss", ".atom", ".wiki")


def is_ours(target: str, collisions: str = "extension", lists_runs: bool = True) -> bool:
    """Whether a raw request target (origin or absolute form) belongs to the extension. Never raises.

    `collisions` is the option of that name. `lists_runs` says that the list of runs is Forgejo's own (v12 and later).
    """
    if is_about(target):
        return True
    tail = _tail(segments(target))
    if tail is None:
        return False
    if not tail:
        return not lists_runs
    run, rest = tail[0], tail[1:]
    if run in BY_WORD:
        return True
    if not rest or rest[0] not in NAMED or len(rest) > MOST_PARTS.get(rest[0], 1):
        return False
    # On every version, and also below these paths: {x} must not be an id in the one and a run number in the other.
    return not (collisions == "native" and run_route(rest[0]) in NATIVE_ROUTES)


def collides(target: str) -> bool:
    """Whether Forgejo has, or later has, a route of its own at this path of the extension."""
    return is_ours(target, "extension", lists_runs=True) and not is_ours(target, "native", lists_runs=True)


def is_about(target: str) -> bool:
    """Whether it is one of the extension's pages about itself."""
    return tuple(segments(target)[:3]) == ABOUT


def about_page(method: str, target: str) -> str | None:
    """The page's name after `actions-extensions/`, often empty; None for another path. Raises MethodNotAllowed."""
    parts = segments(target)
    if tuple(parts[:3]) != ABOUT:
        return None
    if method not in READ.split(", "):
        raise MethodNotAllowed(method, READ)
    return "/".join(parts[3:])


def parse(method: str, target: str, body: Body = NO_BODY, max_wait: int = MOST_WAIT) -> ParsedRequest:
    """Parses a raw request target with its query, and the body. `max_wait` is the largest `wait` here.

    Raises an ApiError of a status from 400 to 415.
    """
    parts = segments(target)
    tail = _tail(parts)
    if tail is None:
        raise NotFound("not a path of the Actions extension")
    run, action, job = _run_and_action(tail)
    route = ROUTES[action]
    if method not in route.methods.split(", "):
        raise MethodNotAllowed(method, route.methods)
    number = None if run in ("", "latest") else _number(run)
    parsers = parameters.parsers_of(route.parameters, action, max_wait)
    values = parameters.parse(target, body.pairs(), parsers, _path(action, number), action in LISTS)
    if (ref := values.pop("ref", None)) is not None:
        if "branch" in values:
            raise BadRequest("ref and branch exclude each other")
        values["branch"] = ref
    if job is not None:
        values["job"] = parameters.job("job", job)
    query = Query(
        repo=repo_of(parts),
        run=number,
        may_be_id=number is not None and tail[0] != BY_NUMBER,
        artifact=_artifact(target) if action == "artifact" else None,
        **values,
    )
    return ParsedRequest(action, query)


def repo_of(parts: Sequence[str]) -> Repo:
    """The repository in a path's segments. Raises BadRequest."""
    return Repo(_name("owner", parts[3]), _repository(parts[4]))


def operation(parsed: ParsedRequest) -> Operation:
    """The request for logs. What the path names is listed like a parameter."""
    action, query = parsed
    run = None if action in LISTS else query.run or "latest"
    given = {field.name: (getattr(query, field.name), field.default) for field in fields(Parameters)}
    given["artifact"] = (query.artifact, None)
    shown = {name: _as_text(name, value) for name, (value, default) in given.items() if value != default}
    return Operation(action, str(query.repo), _path(action, query.run), run, shown)


def _path(action: Action, number: int | None) -> str:
    """An action's path, without the names of one job or artifact."""
    if action in LISTS:
        return "runs" if action == "runs" else f"runs/{BY_NUMBER}"
    tail = "" if action == "info" else f"/{ALL_OF.get(action, action)}"
    return f"runs/{number or 'latest'}{tail}"


def _as_text(name: str, value: object) -> str:
    if name == "attempt" and value == NEWEST:
        return "latest"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def segments(target: str) -> list[str]:
    """Decoded path segments. Empty ones are dropped, as Forgejo drops them."""
    return [unquote(segment, errors="replace") for segment in _raw_segments(target)]


def _raw_segments(target: str) -> list[str]:
    if not target.startswith("/"):
        target = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", target)
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    return [segment for segment in path.split("/") if segment]


def _tail(segments: Sequence[str]) -> Sequence[str] | None:
    """The segments after `…/actions/runs`; None for other paths."""
    if len(segments) < 7 or tuple(segments[:3]) != PREFIX or tuple(segments[5:7]) != ("actions", "runs"):
        return None
    return segments[7:]


def _run_and_action(tail: Sequence[str]) -> tuple[str, Action, str | None]:
    """The run (empty for the list), the action, and the job that the path names."""
    if not tail:
        return "", "runs", None
    rest = list(tail)
    if rest[0] == BY_NUMBER:
        rest = rest[1:]
        if not rest:
            return "", "list", None
    run, names = rest[0], rest[1:]
    if not names:
        return run, "info", None
    if len(names) > 2 and names[0] == "artifacts":
        raise BadRequest("an artifact's name is one part of the path: write a slash in it as %2F")
    if len(names) == 2 and names[0] in ONE_OF:
        return run, ONE_OF[names[0]], names[1] if names[0] == "jobs" else None
    if len(names) > 1 or names[0] not in NAMED:
        raise NotFound(f"no such extension path; after runs/{{run}}/ comes one of: {', '.join(NAMED)}")
    return run, NAMED[names[0]], None


def _name(what: str, text: str) -> str:
    if not is_name(text):
        raise BadRequest(f"not a name that an {what} can have: {shown(text)}")
    return text


def _repository(text: str) -> str:
    if text.lower().endswith(ENDINGS):
        raise BadRequest(f"not a name that a repository can have: {shown(text)}")
    return _name("repository", text)


def _artifact(target: str) -> str:
    """The artifact's name: the last segment of the path, decoded. It may have nearly any character."""
    raw = _raw_segments(target)[-1]
    try:
        name = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        name = ""
    if not raw.isascii() or not name or "\x00" in name or len(name) > 255:
        raise BadRequest("an artifact's name is percent-encoded UTF-8, of at most 255 characters, without a NUL")
    if name in (".", ".."):
        raise BadRequest(f"an artifact named {name!r} can't be had: no URL of Forgejo's can hold that name")
    return name


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise BadRequest(
            f"{shown(text)} is not a run: give `latest`, or the run number seen in the web page's URL (1, 2, …)"
        )
    return int(text)
