"""Which requests by id are the extension's: where Forgejo lacks the route, and {x} is an id. And lines of logs."""

from __future__ import annotations

import pytest

from addon.actions.by_id import lines
from addon.api.native import paths
from addon.forgejo import versions
from addon.forgejo.transport import Transport
from addon.forgejo.upstream import Upstream

BASE = "/api/v1/repos/org/repo/actions"
JOB, LOGS, RERUN_JOB = f"{BASE}/jobs/7", f"{BASE}/jobs/7/logs", f"{BASE}/jobs/7/rerun"


@pytest.mark.parametrize(
    ("target", "since", "before"),
    [(JOB, 12, 17), (LOGS, 12, 16), (RERUN_JOB, 12, 17), (f"{LOGS}?step=0", 12, 17), (f"{LOGS}?a=1&format=ndjson", 12, 17),
     (f"{LOGS}?q=", 12, 16), (f"{LOGS}?attempt=1", 12, 16), ("//api//v1/repos/org/repo/actions/%6aobs/7", 12, 17),
     (f"http://x{JOB}?token=x", 12, 17), (f"{BASE}/jobs/x", 12, 17)],
)  # fmt: skip
def test_jobs_in_every_setting(target: str, since: int, before: int) -> None:
    for collisions in ("extension", "native"):
        ours = [major for major in range(7, 20) if paths.is_ours(target, collisions, major)]
        assert ours == list(range(since, before))
        assert paths.is_ours(target, collisions, None)


@pytest.mark.parametrize(
    ("name", "before"), [("jobs", 16), ("logs", 16), ("artifacts", 16), ("cancel", 16), ("rerun", 17)]
)
def test_runs_only_where_x_is_an_id(name: str, before: int) -> None:
    target = f"{BASE}/runs/7/{name}"
    assert [major for major in range(7, 20) if paths.is_ours(target, "native", major)] == list(range(12, before))
    assert not any(paths.is_ours(target, "extension", major) for major in (None, 12, 17))


@pytest.mark.parametrize(
    "tail",
    ["jobs", "jobs/", "jobs/7/steps", "jobs/7/logs/x", "runs/7", "runs/7/summary", "runs/latest/jobs", "runs/by-number/7",
     "runs/by-number/7/jobs", "runs/7/jobs/0", "runs/7/artifacts/x", "runners/jobs", "tasks/7/logs"],
)  # fmt: skip
def test_other_paths_are_not_of_this_dialect(tail: str) -> None:
    assert not paths.is_ours(f"{BASE}/{tail}", "native", 15) and paths.parse(f"{BASE}/{tail}", "native") is None


@pytest.mark.parametrize(
    ("text", "id"),
    [("7", 7), ("007", 7), ("-7", -7), ("x", 0), ("7x", 0), ("9223372036854775807", 2**63 - 1), ("9223372036854775808", 0),
     ("9" * 30, 0), ("%31", 1), ("1%2Flogs", 0)],
)  # fmt: skip
def test_ids_are_read_as_forgejo_reads_them(text: str, id: int) -> None:
    parsed = paths.parse(f"{BASE}/jobs/{text}", "extension")
    assert parsed is not None and parsed.id == id and str(parsed.repo) == "org/repo"


def test_a_development_version_may_lack_the_newest_routes() -> None:
    texts = {
        "17.0.0-dev-38-gd883bd8f12+gitea-1.22.0": 16,
        "17.0.1+gitea-1.22.0": 17,
        "16.0.0-rc1": 16,
        "": None,
        "x": None,
    }
    assert {text: versions.routes_major(text) for text in texts} == texts


def test_lines_as_json() -> None:
    rows = [
        b"2026-11-01T12:00:00.0000007Z a <b> & \xe2\x80\xa8 \"q\"\n", b"2026-11-01T12:00:00.5000000Z \n",
        b"2026-11-01T12:00:01.0000000Z  two  spaces\n", b"no time at all\n", b"2026-13-01T12:00:01.0000000Z no month\n",
        b"2026-11-01T12:00:02.0000000Z \xff", 
    ]  # fmt: skip
    assert b"".join(lines.as_ndjson([b"".join(rows[:2]), b"".join(rows[2:])])).decode() == (
        '{"time":"2026-11-01T12:00:00.0000007Z","content":"a \\u003cb\\u003e \\u0026 \\u2028 \\"q\\""}\n'
        '{"time":"2026-11-01T12:00:00.5Z","content":""}\n'
        '{"time":"2026-11-01T12:00:01Z","content":" two  spaces"}\n'
        '{"time":"2026-11-01T12:00:02Z","content":"\ufffd"}\n'
    )
    assert list(lines.containing([b"".join(rows)], "month", False)) == []
    assert b"".join(lines.containing([b"".join(rows)], "TWO", True)) == rows[2]


def test_the_callers_own_rights_wait_for_a_released_version() -> None:
    """Then neither its own routes are used nor an ambiguous number is taken."""
    upstream = Upstream(Transport("http://127.0.0.1:1", 1, 1))
    for version, rerun, cancel in (
        (None, None, None),
        ("15.0.3", False, False),
        ("16.0.0-dev-539", False, None),
        ("16.0.0", False, True),
        ("17.0.0-dev-38", None, True),
        ("17.0.0", True, True),
    ):
        upstream.version = version
        assert (upstream.has_run_route("rerun"), upstream.has_run_route("cancel")) == (rerun, cancel)
