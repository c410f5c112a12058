"""Paths of the web UI's Actions pages, and the errors for their statuses."""

from __future__ import annotations

from addon.errors import RunNotFound, UpstreamUnexpected
from addon.forgejo.transport import Response
from addon.model import Repo, Run


def actions_path(repo: Repo) -> str:
    """The repository's Actions."""
    return f"/{repo}/actions"


def run_path(repo: Repo, number: int) -> str:
    """The run's page."""
    if number < 1:  # Forgejo would show any run
        raise ValueError("run numbers start at 1")
    return f"{actions_path(repo)}/runs/{number:d}"


def job_path(run: Run) -> str:
    """The page of the job and attempt that the run shows in detail."""
    path = f"{run_path(run.repo, run.number)}/jobs/{run.detail.index}"
    return path if run.detail.attempt is None else f"{path}/attempt/{run.detail.attempt}"


def run_error(number: int, response: Response) -> Exception:
    """The error for a page of a run that is not 200: RunNotFound for a 404."""
    return RunNotFound(f"no run {number}", number) if response.status == 404 else unexpected_status(response)


def no_runs(repo: Repo) -> RunNotFound:
    """The error for the newest run of a repository that has none."""
    return RunNotFound(f"{repo} has no runs")


def unexpected_status(response: Response) -> UpstreamUnexpected:
    """The error for a status that no known version has here."""
    return UpstreamUnexpected(f"Forgejo answered {response.status} where no known version does")
