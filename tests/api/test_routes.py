"""Which requests are the extension's, and what they mean: tables, and hostile input."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.actions.query import Query
from addon.api.routes import Action, ParsedRequest, about_page, is_ours, parse
from addon.errors import ApiError, BadRequest, MethodNotAllowed, NotFound
from addon.model import Repo

RUNS = "/api/v1/repos/org/repo/actions/runs"


def parsed(action: Action, run: int | None = None, **parameters: Any) -> ParsedRequest:
    return ParsedRequest(action, Query(repo=Repo("org", "repo"), run=run, **parameters))


@pytest.mark.parametrize(
    "target",
    [
        f"{RUNS}/latest",
        f"{RUNS}/latest?workflow_id=ci.yml",
        f"{RUNS}/latest/logs",
        f"{RUNS}/42/logs?job=1",
        f"{RUNS}/42/rerun",
        f"{RUNS}/0/logs",
        f"{RUNS}/42/cancel",
        f"{RUNS}/42/artifacts",
        f"{RUNS}/42/artifacts/a%2Fb",
        f"{RUNS}/42/artifacts/a/b",
        f"{RUNS}/abc/summary",
        f"{RUNS}/by-number/42",
        f"{RUNS}/by-number/42/jobs",
        f"{RUNS}/42/jobs/0",
        f"{RUNS}/42/jobs/a%2Fb",
        f"{RUNS}/42/attempts",
        f"{RUNS}/by-number/42/jobs/0",
        f"{RUNS}/latest/anything",
        f"{RUNS}/latest/",
        "/api/v1//repos/org/repo/actions/runs//latest/logs",
        "/%61pi/v1/repos/org/repo/actions/runs/latest",
        "/api/v1/repos/o%2Fx/repo/actions/runs/latest",
        "http://elsewhere/api/v1/repos/org/repo/actions/runs/latest",
        f"{RUNS}/latest#fragment",
        "/api/v1/repos/\udcff/repo/actions/runs/latest",
        "/api/v1/actions-extensions",
        "/api/v1/actions-extensions/anything/else",
    ],
)
def test_an_extension_path_is_ours(target: str) -> None:
    assert is_ours(target)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "",
        "*",
        "/org/repo/actions/runs/latest",
        RUNS,
        f"{RUNS}?page=1",
        f"{RUNS}/42",
        f"{RUNS}/42/artifact",
        f"{RUNS}/42/cancel/now",
        f"{RUNS}/42/logs/extra",
        f"{RUNS}/42/jobs/0/logs",
        f"{RUNS}/42/attempts/1",
        f"/org/repo/src/branch/main{RUNS}/latest",
        "/api/v1/repos/org/repo/actions/tasks",
        "/API/v1/repos/org/repo/actions/runs/latest",
    ],
)
def test_everything_else_goes_to_forgejo(target: str) -> None:
    assert not is_ours(target)


@pytest.mark.parametrize(
    ("path", "ours"),
    [("42/logs", False), ("42/jobs", False), ("42/jobs/0", False), ("42/attempts", True), ("42/summary", True), ("42/rerun", False), ("latest/logs", True),
     ("by-number/42/logs", True), ("42/cancel", False), ("42/artifacts", False), ("42/artifacts/x", False),
     ("latest/cancel", True), ("by-number/42/artifacts/x", True)],
)  # fmt: skip
def test_native_setting_leaves_colliding_paths_to_forgejo(path: str, ours: bool) -> None:
    assert is_ours(f"{RUNS}/{path}", "native") is ours


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("latest", parsed("info", None)),
        ("latest/logs?workflow_id=ci.yml", parsed("logs", None, workflow_id="ci.yml")),
        ("42/logs?job=1&attempt=2", parsed("logs", 42, job=1, attempt=2)),
        ("42/jobs?job=lint%20(mypy)", parsed("jobs", 42, job="lint (mypy)")),
        ("42/logs?attempt=latest", parsed("logs", 42, attempt=0)),
        ("42/jobs/1?attempt=2", parsed("job", 42, job=1, attempt=2)),
        ("latest/jobs/a%2Fb%20c", parsed("job", None, job="a/b c")),
        ("by-number/7/attempts?job=all", parsed("attempts", 7, job="all")),
        ("latest?branch=a%2Fb&wait=5", parsed("info", None, branch="a/b", wait=5)),
        ("?status=failure&page=2&limit=5", parsed("runs", None, status="failure", page=2, limit=5)),
        ("by-number/7", parsed("info", 7)),
        ("7/artifacts", parsed("artifacts", 7)),
        ("7/artifacts/", parsed("artifacts", 7)),
        ("latest/artifacts/a%2Fb%20%C3%BC", parsed("artifact", None, artifact="a/b ü")),
        ("by-number/7/artifacts/latest", parsed("artifact", 7, artifact="latest")),
        ("7/summary?lines=0", parsed("summary", 7, lines=0)),
        ("by-number/7/summary?token=x&access_token=y&sudo=z", parsed("summary", 7)),
    ],
)
def test_parse(target: str, expected: ParsedRequest) -> None:
    assert parse("GET", f"{RUNS}/{target}") == expected


@pytest.mark.parametrize(
    "target",
    [
        f"{RUNS}/0/logs",
        f"{RUNS}/-1/logs",
        f"{RUNS}/+1/logs",
        f"{RUNS}/01/logs",
        f"{RUNS}/1e3/logs",
        f"{RUNS}/%31%00/logs",
        f"{RUNS}/٤٢/logs",
        f"{RUNS}/9999999999999999999/logs",
        f"{RUNS}/foo/logs",
        f"{RUNS}/1/artifacts/a/b",
        f"{RUNS}/1/artifacts/%ff",
        f"{RUNS}/1/artifacts/a%00",
        f"{RUNS}/1/artifacts/..",
        f"{RUNS}/0/artifacts/a",
        f"{RUNS}/1/summary?lines=1001",
        "/api/v1/repos/o%2Fx/repo/actions/runs/latest",
        "/api/v1/repos/../repo/actions/runs/latest",
        "/api/v1/repos/org/%2e%2e/actions/runs/latest",
        "/api/v1/repos/org/re%00po/actions/runs/latest",
        "/api/v1/repos/org/r;x/actions/runs/latest",
        "/api/v1/repos/org/r%3Fx/actions/runs/latest",
        "/api/v1/repos/%c0%ae/repo/actions/runs/latest",
        "/api/v1/repos/org/repo.git/actions/runs/latest",
        "/api/v1/repos/org/repo.Atom/actions/runs/latest",
        f"{RUNS}/1/logs?job=",
        f"{RUNS}/1/logs?job=-1%00",
        f"{RUNS}/1/logs?job=99999999",
        f"{RUNS}/1/logs?attempt=0",
        f"{RUNS}/1/logs?attempt=x",
        f"{RUNS}/1/logs?job=1&job=2",
        f"{RUNS}/1/logs?jobs=1",
        f"{RUNS}/1/logs?workflow_id=",
        f"{RUNS}/1/logs?workflow_id=a%0d%0ab",
        f"{RUNS}/1/logs?workflow_id=%ff",
        f"{RUNS}/latest?workflow=ci.yml",
        f"{RUNS}/1/jobs/%00",
        f"{RUNS}/1/jobs/1?job=1",
        f"{RUNS}?job=1",
        f"{RUNS}?limit=100",
    ],
)
def test_malformed_is_a_400(target: str) -> None:
    with pytest.raises(BadRequest):
        parse("GET", target)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("POST", "latest", "GET, HEAD"), ("DELETE", "1/logs", "GET, HEAD"), ("GET", "1/rerun", "POST"),
     ("HEAD", "latest/rerun", "POST"), ("OPTIONS", "1/jobs", "GET, HEAD"), ("GET", "1/cancel", "POST"),
     ("DELETE", "1/artifacts/x", "GET, HEAD")],
)  # fmt: skip
def test_another_method_is_a_405_with_allow(method: str, path: str, allow: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        parse(method, f"{RUNS}/{path}")
    assert caught.value.headers["Allow"] == allow


def test_the_list_is_ours_where_forgejo_has_none() -> None:
    for path in (RUNS, f"{RUNS}/", f"{RUNS}?page=2", RUNS.replace("/api", "//api")):
        assert is_ours(path, lists_runs=False) and is_ours(path, "native", lists_runs=False)
        assert not is_ours(path) and not is_ours(path, lists_runs=True)
    assert not is_ours(f"{RUNS}/42", lists_runs=False)


def test_pages_of_the_extension_itself() -> None:
    assert about_page("GET", "/api/v1/actions-extensions/") == ""
    assert about_page("HEAD", "/api/v1//actions-extensions/a/b?x=y") == "a/b"
    assert about_page("GET", f"{RUNS}/latest") is None
    with pytest.raises(MethodNotAllowed):
        about_page("POST", "/api/v1/actions-extensions")


def test_an_unknown_tail_is_a_404_that_lists_the_known() -> None:
    with pytest.raises(NotFound, match="jobs, logs, summary, rerun, cancel, attempts, artifacts"):
        parse("GET", f"{RUNS}/latest/log")


@given(st.text(st.characters(codec=None), max_size=80))
def test_is_ours_never_raises(tail: str) -> None:
    assert is_ours(f"{RUNS}/latest/{tail}") is not None
    assert is_ours(tail) in (True, False)


@given(
    owner=st.text(max_size=12),
    run=st.text(max_size=12),
    query=st.text(alphabet=st.sampled_from("job=1&attempt%20workflow_id;\x00\udcff#?"), max_size=30),
)
def test_what_parses_is_safe_to_rebuild(owner: str, run: str, query: str) -> None:
    """Whatever comes, a parsed request holds nothing that could lead elsewhere."""
    try:
        _, found = parse("GET", f"/api/v1/repos/{owner}/repo/actions/runs/{run}/logs?{query}")
    except ApiError:
        return
    assert found.repo.owner.isascii()
    assert not set(found.repo.owner) & set("/\\?#%;@:\x00 ")
    assert found.repo.owner not in (".", "..")
    assert found.run is None or found.run >= 1
