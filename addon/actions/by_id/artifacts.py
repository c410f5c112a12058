"""The use case of a run's artifacts by the run's id."""

from __future__ import annotations

from dataclasses import dataclass

from addon import trace
from addon.actions.by_id.finder import ByIdFinder
from addon.caller import Caller
from addon.forgejo.artifacts import ArtifactPages
from addon.forgejo.native_api import RunIds
from addon.model import Artifact, Repo, Run


@dataclass(frozen=True, slots=True)
class ArtifactsOfRun:
    """A run's artifacts. `run` is None if the run has no jobs: then it has no artifacts."""

    ids: RunIds
    run: Run | None
    artifacts: tuple[Artifact, ...]


class ArtifactsById:
    """Reads the list of a run's artifacts."""

    def __init__(self, finder: ByIdFinder, pages: ArtifactPages) -> None:
        self._finder, self._pages = finder, pages

    def list(self, caller: Caller, repo: Repo, run_id: int) -> ArtifactsOfRun:
        """The run's artifacts. No page shows their ids and times."""
        found = self._finder.run(caller, repo, run_id)
        with trace.timed("forgejo"):
            artifacts = self._pages.list(found.run) if found.run else ()
        return ArtifactsOfRun(found.ids, found.run, artifacts)
