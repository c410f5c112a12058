"""The URLs in responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from addon.model import Repo


class HasAddress(Protocol):
    """The parts of a run that its URLs need."""

    @property
    def repo(self) -> Repo: ...
    @property
    def number(self) -> int: ...
    @property
    def sub_path(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Links:
    """Builds URLs. `base` is the scheme and host that the client used."""

    base: str

    def html(self, run: HasAddress, tail: str = "") -> str:
        """The run in Forgejo's web UI."""
        return f"{self.base}{run.sub_path}/{_repo(run)}/actions/runs/{run.number}{tail}"

    def api(self, run: HasAddress, tail: str = "") -> str:
        """The run's extension path with by-number, which never means one of Forgejo's own routes."""
        return f"{self.base}{run.sub_path}/api/v1/repos/{_repo(run)}/actions/runs/by-number/{run.number}{tail}"


def _repo(run: HasAddress) -> str:
    return f"{quote(run.repo.owner)}/{quote(run.repo.name)}"
