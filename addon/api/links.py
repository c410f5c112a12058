"""The URLs in an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from addon.model import Repo


class Addressed(Protocol):
    """A run, as far as its URLs need it."""

    @property
    def repo(self) -> Repo: ...
    @property
    def number(self) -> int: ...
    @property
    def sub_path(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Links:
    """Builds the URLs in an answer. `base` is the scheme and host that the client used."""

    base: str

    def html(self, run: Addressed, tail: str = "") -> str:
        """The run in Forgejo's web UI."""
        return f"{self.base}{run.sub_path}/{_repo(run)}/actions/runs/{run.number}{tail}"

    def api(self, run: Addressed, tail: str = "") -> str:
        """An extension path of the run, of the form that no setting and no version of Forgejo claims."""
        return f"{self.base}{run.sub_path}/api/v1/repos/{_repo(run)}/actions/runs/by-number/{run.number}{tail}"


def _repo(run: Addressed) -> str:
    return f"{quote(run.repo.owner)}/{quote(run.repo.name)}"
