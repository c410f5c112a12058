"""The URLs in responses."""

from __future__ import annotations

from dataclasses import dataclass

from addon.model import Run
from addon.run_row import RunRow


@dataclass(frozen=True, slots=True)
class Links:
    """Builds URLs. `base` is the scheme and host that the client used."""

    base: str

    def html(self, run: Run | RunRow, tail: str = "") -> str:
        """The run in Forgejo's web UI."""
        return f"{self.base}{run.sub_path}/{run.repo}/actions/runs/{run.number}{tail}"

    def api(self, run: Run | RunRow, tail: str = "") -> str:
        """The run's extension path with by-number, which never means one of Forgejo's own routes."""
        return f"{self.base}{run.sub_path}/api/v1/repos/{run.repo}/actions/runs/by-number/{run.number}{tail}"

    def logs(self, run: Run | RunRow) -> str:
        """The run's logs, of the newest attempt."""
        return self.api(run, "/logs?attempt=latest")
