"""The parsers of a request's parameters. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from addon.actions.query import COMPLETED, NEWEST
from addon.caller import PARAMETERS as CREDENTIALS
from addon.errors import BadRequest
from addon.model import Status
from addon.settings import MOST_WAIT

NUMBER = re.compile(r"[1-9][0-9]{0,17}")
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
SHA = re.compile(r"[0-9a-f]{7,64}")
Parser = Callable[[str, str], object]
# Parameters that Forgejo's list of runs takes more than once, and the query's field for several values.
REPEATABLE: Mapping[str, str] = {"status": "statuses", "event": "events"}
# The git references that Forgejo's list of runs takes, and the `branch` that each means.
REFS = (("refs/heads/", "", ""), ("refs/tags/", "", ""), ("refs/pull/", "#", "/head"))
REF_TAKES = "refs/heads/NAME, refs/tags/NAME or refs/pull/NUMBER/head"
MOST_FIELDS = 32
MOST_LINES = 1_000_000


def parse(
    target: str, body: Iterable[tuple[str, str]], parsers: Mapping[str, Parser], path: str, repeatable: bool = False
) -> dict[str, Any]:
    """Parses the query of a raw request target, and the body's parameters. `parsers` are those that `path` takes.

    With `repeatable`, those in REPEATABLE may be given more than once. Any other repeated or unknown parameter is a
    BadRequest. It is never ignored: a misspelt filter would select another run.
    """
    query = target.partition("#")[0].partition("?")[2]
    names = REPEATABLE if repeatable else {}
    in_query = _values((pair for pair in pairs(query, "query") if pair[0] not in CREDENTIALS), parsers, path, names)
    in_body = _values(body, parsers, path, names)
    for name in in_query.keys() & in_body.keys():
        raise BadRequest(f"{name} is given both in the query and in the body")
    values = in_query | in_body
    if "wait_for" in values and "wait" not in values:
        raise BadRequest("wait_for takes effect only with wait, which says for how many seconds")
    return values


def _values(
    given: Iterable[tuple[str, str]], parsers: Mapping[str, Parser], path: str, repeatable: Mapping[str, str]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    repeated: dict[str, tuple[object, ...]] = {}
    for name, text in given:
        if name not in parsers:
            raise BadRequest(f"unknown parameter {shown(name)}; {path} takes {', '.join(sorted(parsers))}")
        if name in values and name not in repeatable:
            raise BadRequest(f"{name} is given more than once")
        value = parsers[name](name, text)
        if name in repeatable:
            repeated[name] = (*repeated.get(name, ()), value)
        values[name] = value
    for name, found in repeated.items():
        if len(found) > 1:
            values[repeatable[name]], values[name] = found, None
    return values


def parsers_of(names: Iterable[str], action: str, max_wait: int) -> Mapping[str, Parser]:
    """The parsers of an action's parameters. `max_wait` is the largest `wait` here."""
    chosen = {name: PARSERS_OF.get((action, name), PARSERS[name]) for name in names}
    return chosen | {"wait": _whole(0, max_wait)} if "wait" in chosen else chosen


def pairs(text: str, where: str) -> Iterable[tuple[str, str]]:
    """The names and values of a query or a form. `where` completes "the … is not UTF-8"."""
    if "\x00" in text or b"\x00" in unquote_to_bytes(text.encode("utf-8", "surrogateescape")):
        raise BadRequest(f"the {where} holds a NUL")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadRequest(f"the {where} is not UTF-8, or has more than {MOST_FIELDS} parameters") from None


def json_types(name: str) -> tuple[tuple[type, ...], str]:
    """The types that a parameter has in JSON, and the words for them. A number or a string for an unknown name."""
    if name in FLAGS:
        return (bool,), "true or false"
    if name in NUMBERS:
        return (int,), "a number"
    if name in PARSERS and name not in ("job", "attempt"):
        return (str,), "a string"
    return (int, str), "a number or a string"


def shown(text: str) -> str:
    """The caller's text in a message: quoted, in ASCII, at most 60 characters."""
    return repr(text[:60].encode("ascii", "backslashreplace").decode())


def job(name: str, text: str) -> int | str:
    """Parses `job`: an index, a name, or a word for several jobs."""
    if not text or CONTROL.search(text) or len(text) > 1000:
        raise BadRequest(f"{name} takes a 0-based index or a job's exact name, not {shown(text)}")
    if text.isascii() and text.isdigit():
        if len(text) > 6:
            raise BadRequest(f"{name}={shown(text)} is larger than any job index")
        return int(text)
    return text


def _attempt(name: str, text: str) -> int:
    if text == "latest":
        return NEWEST
    if not NUMBER.fullmatch(text) or len(text) > 9:
        raise BadRequest(f"{name} takes 1, 2, … or `latest`, not {shown(text)}")
    return int(text)


def _text(takes: str) -> Callable[[str, str], str]:
    def parse_text(name: str, text: str) -> str:
        if not text or CONTROL.search(text) or len(text) > 255:
            raise BadRequest(f"{name} takes {takes}, not {shown(text)}")
        return text

    return parse_text


def _sha(name: str, text: str) -> str:
    if not SHA.fullmatch(text.lower()):
        raise BadRequest(f"{name} takes a commit's hash, or 7 or more of its first digits, not {shown(text)}")
    return text.lower()


def _ref(name: str, text: str) -> str:
    """Parses a git reference. Returns the `branch` that it means."""
    _text(REF_TAKES)(name, text)
    for prefix, before, suffix in REFS:
        inner = text.removeprefix(prefix).removesuffix(suffix)
        if inner and text == prefix + inner + suffix:
            return before + inner
    raise BadRequest(f"{name} takes {REF_TAKES}, not {shown(text)}")


def _one_of(*words: str) -> Callable[[str, str], str]:
    listed = (", ".join(words[:-1]), words[-1])

    def parse_word(name: str, text: str) -> str:
        if text not in words:
            raise BadRequest(f"{name} takes {' or '.join(filter(None, listed))}, not {shown(text)}")
        return text

    return parse_word


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false", "1", "0"):
        raise BadRequest(f"{name} takes true or false, not {shown(text)}")
    return text in ("true", "1")


def _whole(least: int, most: int) -> Callable[[str, str], int]:
    def parse_whole(name: str, text: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text) or not least <= int(text) <= most:
            raise BadRequest(f"{name} takes a whole number from {least} to {most}, not {shown(text)}")
        return int(text)

    return parse_whole


FLAGS: Mapping[str, Parser] = dict.fromkeys(("follow", "timestamps", "ansi", "failed_steps", "steps", "dry_run"), _flag)
NUMBERS: Mapping[str, Parser] = {
    "tail": _whole(1, MOST_LINES),
    "step": _whole(1, 9999),
    "wait": _whole(0, MOST_WAIT),
    "lines": _whole(0, 1000),
    "page": _whole(1, MOST_LINES),
    "limit": _whole(1, 50),
    "run_number": _whole(1, MOST_LINES),
}
PARSERS: Mapping[str, Parser] = {
    **FLAGS,
    **NUMBERS,
    "workflow_id": _text("a workflow's file name, for example ci.yml"),
    "branch": _text("a branch's name, a tag's, or #12 for a pull request"),
    "event": _text("what triggers runs, for example push or pull_request"),
    "status": _one_of(*(str(status) for status in Status), COMPLETED),
    "actor": _text("a user's name"),
    "head_sha": _sha,
    "ref": _ref,
    "job": job,
    "attempt": _attempt,
    "format": _one_of("text", "zip"),
    "wait_for": _one_of("done", "started"),
    "keep_artifacts": _one_of("required"),
}
# The parsers of parameters that mean something else for one action.
PARSERS_OF: Mapping[tuple[str, str], Parser] = {
    ("summary", "format"): _one_of("text", "markdown", "json"),
}
