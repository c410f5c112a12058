"""Which fields of an answer a version can't tell, and from which major version on each is told. The only place."""

from __future__ import annotations

from collections.abc import Mapping

NEVER = 10_000

RUN: Mapping[str, int] = {
    "id": 12,
    "event": 9,
    "created_at": 12,
    "updated_at": 12,
    "run_started_at": 12,
    "completed_at": 12,
    "duration_seconds": 12,
    "workflow_error": NEVER,  # null for every workflow file that Forgejo can read
    "workflow_warnings": 16,
}
JOB: Mapping[str, int] = {
    "run_id": 13,
    "attempt": 13,
    "attempts": 13,
    "started_at": 13,
    "completed_at": 17,
    "needs": 16,
    "runs_on": 16,
}
STEP: Mapping[str, int] = {"started_at": 17}


def untold(table: Mapping[str, int], version: str) -> set[str]:
    """The fields of a table that are null for this version. A development version may lack the newest routes."""
    major = int(version.partition(".")[0])
    if "-dev" in version and table is not RUN:
        major -= 1
    return {field for field, since in table.items() if major < since}
