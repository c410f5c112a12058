"""Forgejo's REST API with a caller's own credentials: requests about a repository, renames, refusals.

The administrator's session is unknown here. What Forgejo refuses the caller becomes an error of the same status.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from addon.caller import Caller
from addon.errors import ApiError, Busy, Conflict, Forbidden, NotFound, Unauthorized, UpstreamUnexpected
from addon.forgejo.transport import QueryValues, Response, StreamedResponse, Transport
from addon.model import Repo, is_name

# What Forgejo's router answers for a path that is no route of this version.
ROUTE_MISSING = b"404 page not found"
# Seconds until a missing route is requested again, in case Forgejo was upgraded.
RECHECK_AFTER = 60.0
# The field of a run with everything that its event told, such as the whole description of a pull request.
EVENT_PAYLOAD = "event_payload"
# Routes below a repository that not every version has.
RUNS, TASKS = "/actions/runs", "/actions/tasks"
API_PATH = re.compile(r"(?:/.*)?/api/v1/repos/([^/]+)/([^/]+)(?:/.*)?", re.DOTALL)


class RouteMissing(Exception):
    """This Forgejo version has no such API route."""


@dataclass(frozen=True, slots=True)
class RepoResponse:
    """A response about a repository, and the repository by its present name."""

    response: Response
    repo: Repo


class RestApi:
    """Requests to one Forgejo's REST API, on behalf of callers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._missing_until: dict[str, float] = {}

    def get(self, caller: Caller, path: str) -> Response:
        """A GET below /api/v1. The response is returned whatever its status is."""
        headers = {"Accept": "application/json", **caller.headers}
        return self._transport.request("GET", f"/api/v1{path}", headers, caller.parameters)

    def stream(
        self, caller: Caller, repo: Repo, tail: str, query: QueryValues, headers: Mapping[str, str]
    ) -> StreamedResponse:
        """A GET of `tail` below the repository, whose response the caller reads, whatever its status is."""
        path = f"/api/v1/repos/{repo}{tail}"
        return self._transport.stream("GET", path, {**caller.headers, **headers}, query={**caller.parameters, **query})

    def lacks(self, tail: str) -> bool:
        """Whether this Forgejo was recently seen to lack the route `tail` below a repository."""
        return time.monotonic() < self._missing_until.get(tail, 0.0)

    def probe_repo(
        self, caller: Caller, repo: Repo, tail: str, body: object | None = None, **options: Any
    ) -> RepoResponse:
        """Like `ask_repo`, for a route that some versions lack: while it is known to be missing, nothing is sent."""
        if self.lacks(tail):
            raise RouteMissing
        try:
            return self.ask_repo(caller, repo, tail, body, **options)
        except RouteMissing:
            self._missing_until[tail] = time.monotonic() + RECHECK_AFTER
            raise

    def ask_repo(
        self,
        caller: Caller,
        repo: Repo,
        tail: str,
        body: object | None = None,
        query: QueryValues | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> RepoResponse:
        """A GET, or with `body` a POST, of `tail` below the repository; the redirect of a rename is followed once.

        Statuses in `accept` are returned. Every other one is raised: Unauthorized, Forbidden, NotFound, Conflict
        (archived), Busy, UpstreamUnexpected, or RouteMissing.
        """
        for _ in range(2):
            response = self._transport.request(
                "GET" if body is None else "POST",
                f"/api/v1/repos/{repo}{tail}",
                {"Accept": "application/json", **caller.headers},
                {**caller.parameters, **(query or {})},
                json_body=body,
                omit=EVENT_PAYLOAD,
            )
            if response.status not in (301, 302, 307, 308):
                break
            repo = _renamed(response)
        if response.status in accept and (response.status in (200, 204) or response.media_type == "application/json"):
            return RepoResponse(response, repo)
        raise _refusal(caller, repo, response)


def json_object(response: Response) -> Mapping[str, Any]:
    """The body as a JSON object. Raises UpstreamUnexpected."""
    value = response.json()
    if not isinstance(value, dict):
        raise UpstreamUnexpected("Forgejo's API answered JSON that is no object")
    return value


def archived(repo: Repo) -> Conflict:
    """The error for a change in an archived repository."""
    return Conflict(f"{repo} is archived: nothing can be rerun or cancelled")


def _renamed(response: Response) -> Repo:
    """The present name, from the redirect of a renamed repository. Only the redirect's path counts."""
    match = API_PATH.fullmatch(response.location)
    names = [unquote(part) for part in match.groups()] if match else []
    if len(names) != 2 or not all(map(is_name, names)):
        raise UpstreamUnexpected("Forgejo's API redirects to something that is no repository")
    return Repo(*names)


def _refusal(caller: Caller, repo: Repo, response: Response) -> Exception:
    """The error for a refusal. Forgejo's message is passed on without the token that some versions quote."""
    if response.status == 404:
        if response.media_type == "text/plain" and response.body.strip() == ROUTE_MISSING:
            return RouteMissing()
        if caller.not_understood:
            return Unauthorized(
                "Forgejo sees no credentials in this Authorization header; write `Authorization: token YOUR_TOKEN`"
            )
        return NotFound(f"no repository {repo} with Actions that you may see")
    kinds: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden}
    if kind := kinds.get(response.status):
        return kind(caller.redact(_message(response))[:300] or "Forgejo refuses these credentials")
    if response.status == 423:
        return archived(repo)
    if response.status in (429, 503):
        return Busy("Forgejo is too busy to check the credentials")
    return UpstreamUnexpected(f"Forgejo answered {response.status} to the permission check")


def _message(response: Response) -> str:
    """Forgejo's message, or an empty string."""
    try:
        message = json_object(response).get("message")
    except UpstreamUnexpected:
        return ""
    return message if isinstance(message, str) else ""
