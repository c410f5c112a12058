"""Which requests are the extension's, and what they ask for. Pure functions.

`is_ours` is lenient: whatever Forgejo might take for an extension path is caught. `parse` is strict: what it
does not understand is a 400, so nothing of the caller's path is ever pasted into another URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

from addon.errors import BadRequest, MethodNotAllowed, NotFound
from addon.model import Repo

Action = Literal["info", "jobs", "logs", "summary", "rerun"]

PREFIX = ("api", "v1", "repos")
BY_NUMBER = "by-number"
METHODS: dict[str, str] = {
    "info": "GET, HEAD",
    "jobs": "GET, HEAD",
    "logs": "GET, HEAD",
    "summary": "GET, HEAD",
    "rerun": "POST",
}
# Forgejo has routes of these names since v16, where {x} is a database id.
COLLIDING = frozenset({"jobs", "logs"})
COLLISIONS_SINCE = 16
# Parameters that are credentials: Forgejo's API takes them on every path.
CREDENTIALS = frozenset({"token", "access_token", "sudo"})
PARAMETERS = {
    "info": frozenset({"workflow_id"}),
    "jobs": frozenset({"workflow_id", "job", "attempt"}),
    "logs": frozenset({"workflow_id", "job", "attempt"}),
    "summary": frozenset({"workflow_id"}),
    "rerun": frozenset({"workflow_id", "job"}),
}
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# Forgejo's pages take these off a repository's name and its API doesn't: one would be asked for, another be shown.
ENDINGS = (".git", ".rss", ".atom", ".wiki")
NUMBER = re.compile(r"[1-9][0-9]{0,17}")
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed extension request. `run` None is the latest; `attempt` 0 stands for `latest`."""

    action: Action
    repo: Repo
    run: int | None
    job: int | str | None = None
    attempt: int | None = None
    workflow_id: str | None = None

    def __str__(self) -> str:
        return f"{self.repo} runs/{self.run or 'latest'} {self.action}"


def is_ours(target: str, collisions: str = "extension") -> bool:
    """Whether a raw request target (origin or absolute form) belongs to the extension. Never raises."""
    tail = _tail(_segments(target))
    if tail is None:
        return False
    run, rest = tail[0], tail[1:]
    if run in ("latest", BY_NUMBER):
        return True
    if len(rest) != 1 or rest[0] not in METHODS:
        return False
    return not (collisions == "native" and rest[0] in COLLIDING)


def parse(method: str, target: str) -> Query:
    """The meaning of a raw request target with its query.

    Raises BadRequest, MethodNotAllowed or NotFound.
    """
    segments = _segments(target)
    tail = _tail(segments)
    if tail is None:
        raise NotFound("not a path of the Actions extension")
    owner, name = segments[3], segments[4]
    run, action = _run_and_action(tail)
    if method not in METHODS[action].split(", "):
        raise MethodNotAllowed(method, METHODS[action])
    values = _parameters(target, action)
    attempt = values.get("attempt")
    return Query(
        action=action,
        repo=Repo(_name("owner", owner), _repository(name)),
        run=None if run == "latest" else _number(run),
        job=_job(values.get("job")),
        attempt=_attempt(attempt) if attempt is not None else None,
        workflow_id=_workflow(values.get("workflow_id")),
    )


def _segments(target: str) -> list[str]:
    """Decoded path segments; empty ones are dropped, as Forgejo drops them."""
    if not target.startswith("/"):
        target = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", target)
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    return [unquote(segment, errors="replace") for segment in path.split("/") if segment]


def _tail(segments: Sequence[str]) -> Sequence[str] | None:
    """What follows `…/actions/runs/`, when there is anything."""
    if len(segments) < 8 or tuple(segments[:3]) != PREFIX or tuple(segments[5:7]) != ("actions", "runs"):
        return None
    return segments[7:]


def _run_and_action(tail: Sequence[str]) -> tuple[str, Action]:
    rest = list(tail)
    if rest[0] == BY_NUMBER:
        rest = rest[1:]
        if not rest:
            raise BadRequest("a run number must follow by-number/")
    run, names = rest[0], rest[1:]
    if len(names) > 1 or (names and names[0] not in METHODS) or names == ["info"]:
        known = ", ".join(name for name in METHODS if name != "info")
        raise NotFound(f"no such extension path; after runs/{{run}}/ comes one of: {known}")
    action = names[0] if names else "info"
    return run, action  # type: ignore[return-value]  # it is a key of METHODS


def _name(what: str, text: str) -> str:
    if not NAME.fullmatch(text) or text in (".", ".."):
        raise BadRequest(f"not a name that an {what} can have: {_shown(text)}")
    return text


def _repository(text: str) -> str:
    if text.lower().endswith(ENDINGS):
        raise BadRequest(f"not a name that a repository can have: {_shown(text)}")
    return _name("repository", text)


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise BadRequest(
            f"{_shown(text)} is not a run: give `latest`, or the run number seen in the web page's URL (1, 2, …)"
        )
    return int(text)


def _parameters(target: str, action: Action) -> dict[str, str]:
    """The query as a dict; a repeated or unknown parameter is an error, never ignored."""
    query = target.partition("#")[0].partition("?")[2]
    if "\x00" in query or b"\x00" in unquote_to_bytes(query.encode("utf-8", "surrogateescape")):
        raise BadRequest("the query holds a NUL")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:
        raise BadRequest("the query is not UTF-8, or has more than 32 parameters") from None
    values: dict[str, str] = {}
    for key, value in pairs:
        if key in CREDENTIALS:
            continue
        if key not in PARAMETERS[action]:
            raise BadRequest(f"unknown parameter {_shown(key)}; {action} takes {_listed(PARAMETERS[action])}")
        if key in values:
            raise BadRequest(f"{key} is given more than once")
        values[key] = value
    return values


def _job(text: str | None) -> int | str | None:
    if text is None:
        return None
    if not text or CONTROL.search(text) or len(text) > 1000:
        raise BadRequest("job takes a 0-based index or a job's exact name")
    if text.isascii() and text.isdigit():
        if len(text) > 6:
            raise BadRequest(f"job={_shown(text)} is larger than any job index")
        return int(text)
    return text


def _attempt(text: str) -> int:
    if text == "latest":
        return 0
    if not NUMBER.fullmatch(text) or len(text) > 9:
        raise BadRequest(f"attempt takes 1, 2, … or `latest`, not {_shown(text)}")
    return int(text)


def _workflow(text: str | None) -> str | None:
    if text is not None and (not text or CONTROL.search(text) or len(text) > 255):
        raise BadRequest("workflow_id takes a workflow's file name, for example ci.yml")
    return text


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _shown(text: str) -> str:
    """The caller's own text, short and harmless, for a message."""
    return repr(text[:60].encode("ascii", "backslashreplace").decode())
