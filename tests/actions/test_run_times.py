"""When a run ended: not when its first job failed, but when its last one was done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import Target
from tests.double import JobSpec
from tests.support.sample import Sample


def at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("result", ["failure", "cancelled"])
def test_a_run_is_not_over_when_its_first_job_fails(
    target: Target, demo: Sample, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, start = target.world, target.world.now() - 600

    def now(seconds: int) -> None:
        monkeypatch.setattr(world, "clock", lambda: float(start + seconds))

    now(0)
    run = world.run(demo.repo, title="early", jobs=[JobSpec("bad"), JobSpec("slow")])
    bad, slow = run.jobs
    world.pick(bad)
    world.pick(slow)
    now(10)
    world.finish(bad, result)
    if target.number >= 12:
        so_far = 10.0 if target.number >= 17 else None  # there the run is still seen to run
        assert times(target, demo, run) == {"completed_at": None, "duration_seconds": so_far, "longest": 10.0}
    now(100)
    world.log(slow, "still here", at=100)
    world.finish(slow, "success")
    if target.number >= 12:
        expected = {"completed_at": at(start + 100), "duration_seconds": 100.0, "longest": 100.0}
        assert times(target, demo, run) == expected
    else:
        (row,) = target.request("GET", demo.base, demo.reader, params={"limit": 1}).json()["workflow_runs"]
        # Before v11 the run's own state waits for all jobs, so Forgejo's list is right.
        assert row["run_number"] == run.index and row["duration_seconds"] == (None if target.number >= 11 else 100.0)


def times(target: Target, demo: Sample, run: Any) -> dict[str, Any]:
    """A run's end and duration, the same in both routes, and the duration of its longest job."""
    path = f"{demo.base}/by-number/{run.index}"
    info = target.request("GET", path, demo.reader).json()
    told = target.request("GET", f"{path}/summary", demo.reader).json()
    assert told["duration_seconds"] == told["run"]["duration_seconds"] == info["duration_seconds"]
    longest = max(job["duration_seconds"] for job in told["jobs"])
    return {"completed_at": info["completed_at"], "duration_seconds": info["duration_seconds"], "longest": longest}
