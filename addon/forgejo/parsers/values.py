"""Values as Forgejo writes them on its pages and in its API: states, times, durations, links. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from parsel import Selector, SelectorList

from addon.errors import UpstreamUnexpected
from addon.model import Repo, Status, is_name

ABSOLUTE_TIME = re.compile(r"absolute-time-([1-9][0-9]{0,10})")
RUN_PATH = re.compile(
    r"(?P<sub>/.*)?/(?P<owner>[^/]+)/(?P<name>[^/]+)/actions/runs/(?P<number>[0-9]+)(?P<rest>/.*)?", re.DOTALL
)
ATTEMPT_PATH = re.compile(r"/jobs/[0-9]+/attempt/([1-9][0-9]*)")
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|µs|us|ns)")
# Every page loads its scripts by the version, in which a `+` is written as `~`.
ASSET_VERSION = re.compile(r"assetVersionEncoded: encodeURIComponent\('([0-9A-Za-z.~-]{1,100})'\)")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class RunLink:
    """The parts of a run's path. `sub_path` is that of ROOT_URL, often empty; `attempt` is None if it is not named."""

    sub_path: str
    repo: Repo
    number: int
    attempt: int | None


def run_link(path: str) -> RunLink:
    """Parses `/{sub}/{owner}/{repo}/actions/runs/{number}[/jobs/{j}[/attempt/{a}]]`. Raises UpstreamUnexpected."""
    match = RUN_PATH.fullmatch(path)
    names = [unquote(match[part]) for part in ("owner", "name")] if match else []
    if match is None or not all(map(is_name, names)):
        raise UpstreamUnexpected("Forgejo points to something that is no run")
    attempt = ATTEMPT_PATH.fullmatch(match["rest"] or "")
    return RunLink(match["sub"] or "", Repo(*names), int(match["number"]), int(attempt[1]) if attempt else None)


def shown_version(html: str) -> str | None:
    """The version that any page shows, also the one to sign in, as `15.0.3~gitea-1.22.0`; None if it doesn't."""
    found = ASSET_VERSION.search(html)
    return found[1] if found else None


def status(word: object) -> Status:
    """A state by its name; UNKNOWN for a name of a later version."""
    try:
        return Status(str(word))
    except ValueError:
        return Status.UNKNOWN


def duration(text: str) -> float | None:
    """Seconds of a Go duration, `1h2m3s`; None if it is negative (a runner's clock was wrong) or malformed."""
    seconds, place = 0.0, 0
    while part := DURATION_PART.match(text, place):
        seconds, place = seconds + float(part[1]) * SECONDS[part[2]], part.end()
    return seconds if text and place == len(text) else None


def time(text: str | None) -> datetime | None:
    """RFC 3339 as a UTC datetime; None for nothing, and for the year 1970, which is how Forgejo writes "never"."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year > 1970 else None


def shown_time(nodes: Selector | SelectorList[Selector]) -> datetime | None:
    """The moment that a piece of a page shows; None for none.

    It is the element's own attribute. An account that prefers absolute times may get, in a later version, its seconds.
    """
    if exact := nodes.css("relative-time::attr(datetime)").get():
        return time(exact)
    match = ABSOLUTE_TIME.fullmatch(nodes.css('[data-testid^="absolute-time-"]::attr(data-testid)').get(""))
    return datetime.fromtimestamp(int(match[1]), UTC) if match else None


def last_segment(link: str | None) -> str | None:
    """The last segment of a link's path, decoded; None if there is none."""
    return unquote((link or "").rstrip("/").rpartition("/")[2]) or None


def attribute(nodes: SelectorList[Selector], name: str) -> str | None:
    """One attribute of the first node. (`Selector.attrib` fails on an element with a malformed attribute name.)"""
    found: str | None = nodes[0].root.get(name) if nodes else None
    return found


def changed(what: str, error: Exception) -> UpstreamUnexpected:
    """The error for a missing or changed field, with its name for those who adapt the parser to a new Forgejo."""
    field = f"the field {error.args[0]!r}" if isinstance(error, KeyError) else f"a field ({type(error).__name__})"
    return UpstreamUnexpected(f"Forgejo's {what} lacks or changed {field}")
