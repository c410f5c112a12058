"""A client that goes away in the middle of a stream leaves nothing open."""

from __future__ import annotations

import gc
import inspect

import pytest

from addon.actions.following.events import Lines
from addon.actions.query import ALL
from tests.actions.following.simulation import Simulation, query
from tests.double import JobSpec


@pytest.fixture
def _no_garbage_collector() -> object:
    """It would close what is forgotten. But it may run in any thread, also in one that holds a lock."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_garbage_collector")
@pytest.mark.parametrize("job", [0, ALL])
def test_a_closed_stream_is_closed_at_once(job: int | str) -> None:
    simulation = Simulation("v15")
    world = simulation.world
    run = world.run(world.repo(f"{world.admin.name}/repo"), jobs=[JobSpec("a"), JobSpec("b")])
    for each in run.jobs:
        world.play(each, "failure", [["x" * 1000] * 1000])
    with simulation.following(lambda: None) as follow:
        found = follow.started(query(run, job=job), {})
        next(event for _, event in found.events if isinstance(event, Lines))
        assert simulation.open_streams
        found.close()
        assert not simulation.open_streams
        assert inspect.getgeneratorstate(found.events) == inspect.GEN_CLOSED
