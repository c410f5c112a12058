"""Hostile requests as hypothesis strategies: raw bytes for a socket, and what an honest reader would take them for."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from urllib.parse import unquote

from hypothesis import strategies as st

RUNS = ("1", "2", "3", "latest", "by-number/1", "1", "2", "latest", "0", "01", "999", "%31", "by-number/latest", "1%00")
TAILS = (
    "/jobs",
    "/logs",
    "/summary",
    "/rerun",
    "",
    "/jobs",
    "/logs",
    "/cancel",
    "/artifacts",
    "/artifacts/report",
    "/artifacts/%2e%2e%2fx",
    "/logs/",
    "/jobs/0",
    "/jobs/build",
    "/attempts",
    "/LOGS",
    "/l%6fgs",
)
SCRAPS = (
    "/", "//", "/./", "/../", "..", "%2f", "%2F", "%2e%2e", "%2e%2e%2f", "..%2f", "%252f", "%25", "%", "%zz", "\\", "%5c",
    ";", ";x=1", "%3b", "?", "%3f", "#", "%23", "%00", "\x00", "%0d%0a", "%0a", "\t", "%20", "+", "\udcc0\udcae", "%c0%ae",
    "%c0%af", "%e0%80%af", "%ff", "\udcff", "%u002f", "é", "%C3%A9", ".git", ".rss", ".atom", ".wiki", "~", "@", ":", "*",
    "/api/v1/repos/", "/actions/runs/", "latest", "by-number", "/-/", "%", "&", "=",
)  # fmt: skip
PREFIXES = (
    "http://x",
    "https://x:1",
    "http://u:p@x",
    "HTTP://x",
    "ftp://x",
    "http:",
    "http:///",
    "//x",
    "/x/..",
    "*",
    ".",
)
PARAMETERS = (
    "branch=main", "branch=%2e%2e%2f", "actor=victim", "actor=..%2fadmin", "event=push", "status=success", "status=completed",
    "head_sha=0000000", "wait=0", "steps=true", "job=0", "job=1", "job=build", "job=", "attempt=1", "attempt=latest", "attempt=0", "workflow_id=ci.yml", "workflow_id=x%00",
    "run_number=2", "page=1", "limit=0", "token=", "access_token=x", "sudo=root-admin", "token=%00", "owner=victim", "_method=POST",
    "job=0&job=1", "%6aob=1", "job%00=1", "a;job=1", "%ff=%ff", "&&", "=", "x" * 300,
)  # fmt: skip
HEADERS = (
    "X-HTTP-Method-Override: POST", "X-Method-Override: DELETE", "X-Forwarded-Host: evil", "X-Forwarded-Proto: javascript",
    "X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 1, 2", "X-Forwarded-Prefix: /victim", "X-Forwarded-Uri: /victim/secret",
    "X-Original-URL: /api/v1/repos/victim/secret/actions/runs/1/logs", "X-Rewrite-URL: /victim/secret/actions/runs/1",
    "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1;host=victim", "Connection: Authorization", "Connection: keep-alive, Host",
    "Connection: X-Actions-Secret", "X-Actions-Secret: 0", "X-Actions-Secret:", "X-Actions-Arrived: 0", "X-Actions-Arrived: x",
    "Cookie: session=0; i_like_gitea=0; _csrf=0", "Sudo: root-admin", "Sudo: victim", "X-WEBAUTH-USER: root-admin",
    "Authorization:", "Authorization: Basic !!!", "Authorization: Bearer \udcff", "Authorization: token \x01", "X-Forgejo-OTP: 000000",
    "Host: victim/secret", "Host: a?b", "Host: evil:99999", "Host:", "Range: bytes=0-0", "Range: bytes=9-1", "Range: bytes=0-3,9-10", "If-Range: x", "Sec-Fetch-Site: cross-site",
    "TE: trailers",
    "Expect: 100-continue", "Upgrade: websocket", "Accept-Encoding: gzip", "Keep-Alive: 1", "Proxy-Connection: close",
    "Transfer-Encoding: identity", "Content-Length: 0", "Content-Length: -1", "Content-Length: 1, 2", "X" * 200 + ": 1", " folded: 1",
    "No-Colon", "Accept: text/html", "Content-Type: application/x-www-form-urlencoded", "If-None-Match: *",
)  # fmt: skip
NAMES = ("jobs", "logs", "summary", "rerun", "cancel", "artifacts", "attempts")
# What follows a job's id, and what follows a run's where {x} is one.
JOB_TAILS = ("", "/logs", "/logs", "/rerun", "/logs?step=0&q=n", "/LOGS", "/")
BY_ID = ("jobs", "logs", "artifacts", "rerun", "cancel")
METHODS = ("HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "PROPFIND", "G\x00T", "CONNECT")
BODY = "GET /api/v1/repos/victim/secret/actions/runs/1/logs HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True)
class Hostile:
    """A request: its target as text of Latin-1 characters, and all of its bytes."""

    method: str
    target: str
    data: bytes


def requests(
    repositories: Sequence[str], tokens: Sequence[str], run_ids: Sequence[int], job_ids: Sequence[int]
) -> st.SearchStrategy[Hostile]:
    """Good requests for these repositories by these callers, at most three parts of which are bent.

    The ids are of runs and jobs of all of the repositories.
    """
    by_number = st.builds(lambda run, tail: f"runs/{run}{tail}", st.sampled_from(RUNS), st.sampled_from(TAILS))
    by_job_id = st.builds(lambda job, tail: f"jobs/{job}{tail}", st.sampled_from(job_ids), st.sampled_from(JOB_TAILS))
    by_run_id = st.builds(lambda run, tail: f"runs/{run}/{tail}", st.sampled_from(run_ids), st.sampled_from(BY_ID))
    path = st.builds(
        lambda repo, tail: f"/api/v1/repos/{repo}/actions/{tail}",
        st.sampled_from(repositories),
        st.one_of(by_number, by_number, by_job_id, by_run_id),
    )
    twice = [f"{a}, token {b}" for a, b in zip(tokens, reversed(tokens), strict=True)]
    parameters = (*PARAMETERS, *(f"token={token}" for token in tokens))
    return st.builds(
        _request,
        bent=st.sets(st.sampled_from(("method", "prefix", "path", "query", "headers", "callers", "body")), max_size=3),
        method=st.sampled_from(METHODS),
        prefix=st.sampled_from(PREFIXES),
        path=path,
        bends=st.lists(st.tuples(st.integers(0, 120), _bends()), min_size=1, max_size=3),
        query=st.lists(st.sampled_from(parameters), min_size=1, max_size=3),
        caller=st.sampled_from(tokens),
        callers=st.lists(st.sampled_from((*tokens, *twice)), max_size=2),
        headers=st.lists(st.sampled_from(HEADERS), min_size=1, max_size=3),
        body=_bodies(),
    )


def _bends() -> st.SearchStrategy[str]:
    """What is put into the path; `encode`, `case`, `drop` and `double` do something to what is there."""
    return st.one_of(st.sampled_from(SCRAPS), st.sampled_from(("encode", "encode", "case", "drop", "double")))


def _bodies() -> st.SearchStrategy[str]:
    """Bodies with their heads: right, chunked, and two that disagree on where the request ends."""
    size = len(BODY)
    return st.sampled_from(
        (
            f"Content-Length: {size}\r\n\r\n{BODY}",
            f"Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{BODY}\r\n0\r\n\r\n",
            f"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{BODY}",
            f"Content-Length: 0\r\nContent-Length: {size}\r\n\r\n{BODY}",
            f"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{BODY}",
            f"Content-Length: 0\r\n\r\n{BODY}",
        )
    )


def _bend(path: str, bends: Sequence[tuple[int, str]]) -> str:
    for where, what in bends:
        at = where % (len(path) + 1)
        head, here, tail = path[:at], path[at : at + 1], path[at + 1 :]
        bent = {"encode": f"%{ord(here or '/'):02x}", "case": here.swapcase(), "drop": "", "double": here * 2}
        path = head + bent.get(what, what + here) + tail
    return path


def _request(
    bent: Set[str],
    method: str,
    prefix: str,
    path: str,
    bends: Sequence[tuple[int, str]],
    query: Sequence[str],
    caller: str,
    callers: Sequence[str],
    headers: Sequence[str],
    body: str,
) -> Hostile:
    """The request of these parts, each in its plain form unless it is among the `bent`."""
    target = (prefix if "prefix" in bent else "") + (_bend(path, bends) if "path" in bent else path)
    target += "?" + "&".join(query) if "query" in bent else ""
    verb = method if "method" in bent else "POST" if path.endswith(("/rerun", "/cancel")) else "GET"
    lines = [f"Authorization: token {each}" for each in (callers if "callers" in bent else [caller])]
    lines += headers if "headers" in bent else []
    hosts = [] if any(line.lower().startswith("host:") for line in lines) else ["Host: forge.example"]
    head = "".join(f"{line}\r\n" for line in (f"{verb} {target} HTTP/1.1", *hosts, *lines, "Connection: close"))
    text = head + (body if "body" in bent else "\r\n")
    return Hostile(verb, target, text.encode("utf-8", "surrogateescape"))


def meaning(target: str, native: bool = False) -> tuple[str, str, str] | None:
    """Owner, repository and run of an extension path, as Forgejo takes paths apart; None if it is none.

    The list of runs, which is the extension's in front of some versions only, is the run `list`. A job's id is the run
    `job:ID`. With `native`, {x} is an id, and so the run is `run:ID`.
    """
    path = re.split("[?#]", re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", target), maxsplit=1)[0]
    parts = [unquote(part, errors="replace") for part in path.split("/") if part]
    if parts[:3] != ["api", "v1", "repos"] or parts[5:6] != ["actions"] or len(parts) < 7:
        return None
    kind, run, rest = parts[6], [*parts, "list"][7], parts[8:]
    if kind == "jobs" and len(parts) > 7 and rest in ([], ["logs"], ["rerun"]):
        return parts[3], parts[4], f"job:{run}"
    if kind != "runs":
        return None
    if run in ("latest", "by-number"):
        return parts[3], parts[4], (rest or ["latest"])[0] if run == "by-number" else run
    if native and rest[:1] and rest[0] in BY_ID:
        return (parts[3], parts[4], f"run:{run}") if len(rest) == 1 else None
    named = rest[:1] if rest[:1] == ["artifacts"] or (rest[:1] == ["jobs"] and len(rest) == 2) else rest
    return (parts[3], parts[4], run) if run == "list" or named in ([name] for name in NAMES) else None
