"""Which requests are the extension's, and what they ask for. Pure functions.

`is_ours` is lenient: whatever Forgejo might take for an extension path is caught. `parse` is strict: what it
does not understand is a 400, so nothing of the caller's path is ever pasted into another URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from addon.api import parameters
from addon.api.parameters import NUMBER, Parameters, shown
from addon.errors import BadRequest, MethodNotAllowed, NotFound
from addon.model import Repo

Action = Literal[
    "info", "jobs", "job", "logs", "summary", "rerun", "cancel", "artifacts", "artifact", "attempts", "runs"
]
READ, WRITE = "GET, HEAD", "POST"


@dataclass(frozen=True, slots=True)
class Route:
    """What one action takes. `colliding` ones Forgejo has itself since v16, where {x} is a database id."""

    methods: str
    parameters: frozenset[str]
    colliding: bool = False


PREFIX = ("api", "v1", "repos")
# The extension's pages about itself.
OWN = ("api", "v1", "actions-extensions")
BY_NUMBER = "by-number"
ONE_JOB = frozenset({"job", "attempt"})
SELECTING = frozenset({"workflow_id", "branch", "event", "status", "actor", "head_sha"})
WAITING = frozenset({"wait", "wait_for"})
LOG = frozenset({"follow", "tail", "step", "failed_steps", "timestamps", "ansi", "format"})
ROUTES: Mapping[Action, Route] = {
    "info": Route(READ, SELECTING | WAITING),
    "jobs": Route(READ, SELECTING | ONE_JOB | WAITING | {"steps"}, colliding=True),
    "logs": Route(READ, SELECTING | ONE_JOB | LOG, colliding=True),
    "summary": Route(READ, SELECTING | WAITING | {"lines"}),
    "rerun": Route(WRITE, SELECTING | {"job", "dry_run", "keep_artifacts"}),
    "cancel": Route(WRITE, SELECTING | {"dry_run"}, colliding=True),
    "attempts": Route(READ, SELECTING | {"job"}),
    "artifacts": Route(READ, SELECTING, colliding=True),
    # Below paths of Forgejo's own, so whoever answers those answers these: {x} must not be an id in the one and a
    # number in the other.
    "artifact": Route(READ, SELECTING, colliding=True),
    "job": Route(READ, SELECTING | WAITING | {"attempt"}, colliding=True),
    "runs": Route(READ, SELECTING | {"page", "limit"}),
}
COLLISIONS_SINCE = 16
# Actions of one thing, whose name or index follows that of the action for all.
ONE_OF: Mapping[str, Action] = {"jobs": "job", "artifacts": "artifact"}
# How many parts of a path are caught. An artifact's name with a slash that should have been encoded is told so.
MOST_PARTS = {"jobs": 2, "artifacts": 99}
# Actions whose name stands in the path, after the run.
NAMED: Mapping[str, Action] = {str(name): name for name in ROUTES if name not in ("info", "runs", *ONE_OF.values())}
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# Forgejo's pages take these off a repository's name and its API doesn't: one would be asked for, another be shown.
ENDINGS = (".git", ".rss", ".atom", ".wiki")


@dataclass(frozen=True, slots=True)
class Query(Parameters):
    """A parsed extension request. `run` None is the latest."""

    action: Action
    repo: Repo
    run: int | None
    artifact: str | None = None

    def __str__(self) -> str:
        return f"{self.repo} runs/{self.run or 'latest'} {self.action}"


def is_ours(target: str, collisions: str = "extension", lists_runs: bool = True) -> bool:
    """Whether a raw request target (origin or absolute form) belongs to the extension. Never raises.

    `lists_runs` says whether the list of runs is Forgejo's own (v12 and later).
    """
    if is_own(target):
        return True
    tail = _tail(_segments(target))
    if tail is None:
        return False
    if not tail:
        return not lists_runs
    run, rest = tail[0], tail[1:]
    if run in ("latest", BY_NUMBER):
        return True
    if not rest or rest[0] not in NAMED or len(rest) > MOST_PARTS.get(rest[0], 1):
        return False
    return not (collisions == "native" and ROUTES[NAMED[rest[0]]].colliding)


def is_own(target: str) -> bool:
    """Whether it is one of the extension's pages about itself."""
    return tuple(_segments(target)[:3]) == OWN


def own_page(method: str, target: str) -> str | None:
    """The name after `actions-extensions/`, empty for none; None for another path. Raises MethodNotAllowed."""
    segments = _segments(target)
    if tuple(segments[:3]) != OWN:
        return None
    if method not in READ.split(", "):
        raise MethodNotAllowed(method, READ)
    return "/".join(segments[3:])


def parse(method: str, target: str) -> Query:
    """The meaning of a raw request target with its query.

    Raises BadRequest, MethodNotAllowed or NotFound.
    """
    segments = _segments(target)
    tail = _tail(segments)
    if tail is None:
        raise NotFound("not a path of the Actions extension")
    owner, name = segments[3], segments[4]
    run, action, job = _meaning(tail)
    route = ROUTES[action]
    if method not in route.methods.split(", "):
        raise MethodNotAllowed(method, route.methods)
    given = parameters.parse(target, route.parameters, action)
    values = {name: getattr(given, name) for name in route.parameters}
    if job is not None:
        values["job"] = parameters.job("job", job)
    return Query(
        action=action,
        repo=Repo(_name("owner", owner), _repository(name)),
        run=None if run in ("", "latest") else _number(run),
        artifact=_artifact(target) if action == "artifact" else None,
        **values,
    )


def _segments(target: str) -> list[str]:
    """Decoded path segments; empty ones are dropped, as Forgejo drops them."""
    return [unquote(segment, errors="replace") for segment in _raw_segments(target)]


def _raw_segments(target: str) -> list[str]:
    if not target.startswith("/"):
        target = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", target)
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    return [segment for segment in path.split("/") if segment]


def _tail(segments: Sequence[str]) -> Sequence[str] | None:
    """What follows `…/actions/runs`; None for other paths."""
    if len(segments) < 7 or tuple(segments[:3]) != PREFIX or tuple(segments[5:7]) != ("actions", "runs"):
        return None
    return segments[7:]


def _meaning(tail: Sequence[str]) -> tuple[str, Action, str | None]:
    """The run (empty for the list), the action, and the job that the path names."""
    if not tail:
        return "", "runs", None
    rest = list(tail)
    if rest[0] == BY_NUMBER:
        rest = rest[1:]
        if not rest:
            raise BadRequest("a run number must follow by-number/")
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
    if not NAME.fullmatch(text) or text in (".", ".."):
        raise BadRequest(f"not a name that an {what} can have: {shown(text)}")
    return text


def _repository(text: str) -> str:
    if text.lower().endswith(ENDINGS):
        raise BadRequest(f"not a name that a repository can have: {shown(text)}")
    return _name("repository", text)


def _artifact(target: str) -> str:
    """The artifact's name: the last part of the path, exactly. It may hold nearly anything, percent-encoded."""
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
