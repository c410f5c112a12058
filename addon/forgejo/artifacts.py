"""A run's artifacts in the web UI: their list, and one as a download.

The download's path has the run's number before v13 and its database id since then. If no artifact has the name in the
path, Forgejo takes a number there for an artifact's id. So only a name in the run's list is ever requested.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from addon.errors import Gone, NotFound, UpstreamUnexpected
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.parsers import run_page
from addon.forgejo.transport import Response, StreamedResponse
from addon.forgejo.web_routes import actions_path, run_error, run_path, unexpected_status
from addon.model import Artifact, Run

HEADERS = ("content-length", "content-range", "accept-ranges")
NOT_FOUND = b"artifact"
MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class Download:
    """An artifact's zip. `status` is 200, 206, 416, or 303 with the `location` of a storage's signed URL."""

    status: int
    headers: Mapping[str, str]
    body: StreamedResponse | None = None
    location: str | None = None


class ArtifactPages:
    """Artifacts as the administrator sees them."""

    def __init__(self, session: AdminSession) -> None:
        self._session = session

    def list(self, run: Run) -> tuple[Artifact, ...]:
        """The run's artifacts. Since v13 the run's page has them; before, it is one more request."""
        return self._current_list(run) if run.artifacts is None else run.artifacts

    def open(self, run: Run, name: str, method: str, headers: Mapping[str, str]) -> Download:
        """Opens one artifact, which the caller reads or closes. `headers` may have Range, ignored before v9.

        Raises NotFound, or Gone for one that has expired.
        """
        _check(run, name, self.list(run))
        response = self._session.stream(method, _path(run, name), headers, media_type=None)
        if name.isdecimal() and run.id is not None:
            # If it was deleted meanwhile, Forgejo took its name for the id of another artifact.
            self._check_again(run, name, response)
        kept = {each: response.headers[each] for each in HEADERS if each in response.headers}
        if isinstance(response, StreamedResponse):
            return Download(response.status, kept, response)
        if response.status == 416:
            kept.pop("content-length", None)  # the length of Forgejo's message
            return Download(416, kept)
        if response.status in (302, 303, 307):
            return Download(303, {}, location=_signed_url(response))
        if response.status == 404 and NOT_FOUND in response.body:
            raise NotFound(f"artifact {name!r} of run {run.number} was deleted just now")
        raise unexpected_status(response)

    def _current_list(self, run: Run) -> tuple[Artifact, ...]:
        response = self._session.get(f"{run_path(run.repo, run.number)}/artifacts")
        if response.status != 200:
            raise run_error(run.number, response)
        return run_page.artifact_list(response.json())

    def _check_again(self, run: Run, name: str, response: StreamedResponse | Response) -> None:
        try:
            _check(run, name, self._current_list(run))
        except BaseException:
            if isinstance(response, StreamedResponse):
                response.close()
            raise


def artifact_names(artifacts: Iterable[Artifact]) -> str:
    """The first names, quoted, for a message; `none` if there are none."""
    quoted = [repr(each.name) for each in artifacts]
    return ", ".join(quoted[:MOST_NAMES] + ["…"] * (len(quoted) > MOST_NAMES)) or "none"


def _check(run: Run, name: str, artifacts: Iterable[Artifact]) -> None:
    """Raises NotFound or Gone if there is no such artifact to download."""
    listed = tuple(artifacts)
    found = [each for each in listed if each.name == name]
    if not found:
        raise NotFound(f"run {run.number} has no artifact {name!r}; it has: {artifact_names(listed)}")
    if any(each.expired for each in found):
        raise Gone(f"artifact {name!r} of run {run.number} has expired: Forgejo has deleted it")


def _path(run: Run, name: str) -> str:
    key = run.number if run.id is None else run.id
    return f"{actions_path(run.repo)}/runs/{key:d}/artifacts/{quote(name, safe='')}"


def _signed_url(response: Response) -> str:
    """The storage's URL. It must be signed and on another host: a page of Forgejo's is not for callers."""
    location = response.headers.get("location", "")
    parts = urlsplit(location)
    signed = "signature=" in parts.query.lower()
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or not signed:
        raise UpstreamUnexpected("Forgejo redirects an artifact's download to something that is no storage")
    if not location.isascii() or not location.isprintable():
        raise UpstreamUnexpected("Forgejo redirects an artifact's download to a broken URL")
    return location
