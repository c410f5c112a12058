"""The use cases of artifacts: the list of a run's artifacts, and the download of one."""

from __future__ import annotations

from collections.abc import Mapping

from addon import trace
from addon.actions.finding.run_finder import RunFinder
from addon.actions.query import Query
from addon.caller import Caller
from addon.forgejo.artifacts import ArtifactPages, Download
from addon.model import Artifact, Run


class ReadArtifacts:
    """Reads artifacts."""

    def __init__(self, finder: RunFinder, pages: ArtifactPages) -> None:
        self._finder, self._pages = finder, pages

    def list(self, query: Query, caller: Caller) -> tuple[Run, tuple[Artifact, ...]]:
        """The run and its artifacts."""
        run = self._finder.to_read(query, caller)
        with trace.timed("forgejo"):
            return run, self._pages.list(run)

    def open(self, query: Query, caller: Caller, method: str, headers: Mapping[str, str]) -> tuple[Run, Download]:
        """The run and one artifact, which the caller of this method reads or closes. `headers` may have Range."""
        run = self._finder.to_read(query, caller)
        with trace.timed("forgejo"):
            return run, self._pages.open(run, query.artifact or "", method, headers)
