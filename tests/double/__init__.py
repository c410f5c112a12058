"""A stand-in Forgejo: its Actions pages and API as v7 to v16 have them, traps included, on a loopback port."""

from tests.double.faults import Fault
from tests.double.model import JobSpec, Repo, Run
from tests.double.server import Double, Recorded
from tests.double.world import World

__all__ = ["Double", "Fault", "JobSpec", "Recorded", "Repo", "Run", "World"]
