"""A run's artifacts: their list, and one as a download.

Forgejo's page of a download wants the run's number before v13 and its database id from then on, and takes an
artifact's id where no name is the same. So only a name that the run's list holds is ever asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from addon.errors import Gone, NotFound, UpstreamUnexpected
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.pages import run_page
from addon.forgejo.transport import Answer, Stream
from addon.forgejo.web_ui import actions_path, no_run, run_path, unexpected
from addon.model import Artifact, Run

HEADERS = ("content-length", "content-range", "accept-ranges")
NOT_FOUND = b"artifact"
MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class Download:
    """An artifact's zip, or where to get it. `status` is 200, 206, 416, or 303 with a `location` at a storage whose
    URL is signed, for whoever asks."""

    status: int
    headers: Mapping[str, str]
    body: Stream | None = None
    location: str | None = None


class Artifacts:
    """Artifacts as the administrator sees them."""

    def __init__(self, admin: AdminSession) -> None:
        self._admin = admin

    def list(self, run: Run) -> tuple[Artifact, ...]:
        """The run's artifacts: on its page from v13 on, one request more before."""
        return self._listed_now(run) if run.artifacts is None else run.artifacts

    def open(self, run: Run, name: str, method: str, headers: Mapping[str, str]) -> Download:
        """One artifact, to be read or closed. `headers` may hold Range, which versions before 9 ignore.

        Raises NotFound, or Gone for one that has expired.
        """
        self._check(run, name, self.list(run))
        answer = self._admin.stream(method, _path(run, name), headers, media_type=None)
        if name.isdecimal() and run.id is not None:
            # Deleted meanwhile, its name would have been taken for the id of another.
            self._check_again(run, name, answer)
        kept = {each: answer.headers[each] for each in HEADERS if each in answer.headers}
        if isinstance(answer, Stream):
            return Download(answer.status, kept, answer)
        if answer.status == 416:
            kept.pop("content-length", None)  # that of Forgejo's message
            return Download(416, kept)
        if answer.status in (302, 303, 307):
            return Download(303, {}, location=_signed(answer))
        if answer.status == 404 and NOT_FOUND in answer.body:
            raise NotFound(f"artifact {name!r} of run {run.number} was deleted just now")
        raise unexpected(answer)

    def _listed_now(self, run: Run) -> tuple[Artifact, ...]:
        answer = self._admin.get(f"{run_path(run.repo, run.number)}/artifacts")
        if answer.status != 200:
            raise no_run(run.number, answer)
        return run_page.artifact_list(answer.json())

    def _check_again(self, run: Run, name: str, answer: Stream | Answer) -> None:
        try:
            self._check(run, name, self._listed_now(run))
        except BaseException:
            if isinstance(answer, Stream):
                answer.close()
            raise

    @staticmethod
    def _check(run: Run, name: str, artifacts: Iterable[Artifact]) -> None:
        """Raises NotFound or Gone for an artifact that can't be had."""
        listed = tuple(artifacts)
        found = [each for each in listed if each.name == name]
        if not found:
            raise NotFound(f"run {run.number} has no artifact {name!r}; it has: {names(listed)}")
        if any(each.expired for each in found):
            raise Gone(f"artifact {name!r} of run {run.number} has expired: Forgejo has deleted it")


def names(artifacts: Iterable[Artifact]) -> str:
    """For a message: the first of the names, or that there are none."""
    quoted = [repr(each.name) for each in artifacts]
    return ", ".join(quoted[:MOST_NAMES] + ["…"] * (len(quoted) > MOST_NAMES)) or "none"


def _path(run: Run, name: str) -> str:
    key = run.number if run.id is None else run.id
    return f"{actions_path(run.repo)}/runs/{key:d}/artifacts/{quote(name, safe='')}"


def _signed(answer: Answer) -> str:
    """The storage's URL. It must be elsewhere, and bear its own permission: a page of Forgejo's is not for callers."""
    location = answer.headers.get("location", "")
    parts = urlsplit(location)
    signed = "signature=" in parts.query.lower()
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or not signed:
        raise UpstreamUnexpected("Forgejo redirects an artifact's download to something that is no storage")
    if not location.isascii() or not location.isprintable():
        raise UpstreamUnexpected("Forgejo redirects an artifact's download to a broken URL")
    return location
