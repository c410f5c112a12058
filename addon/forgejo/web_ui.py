"""Which page holds what, and how that differs between Forgejo versions.

A version is never configured or remembered: each answer shows which kind of server made it. Up to v12 a run's page
is a shell whose state comes by POST; from v13 on `…/jobs/J` redirects to an attempt's page, which carries it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from addon.errors import Conflict, NotFound, RunNotFound, UpstreamUnexpected
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.pages import run_page
from addon.forgejo.pages.run_list import STATUS_NUMBERS, RunList, run_list
from addon.forgejo.transport import Answer
from addon.model import JobDetail, Repo, Run, Status

# A cursor behind any line: the view then tells of a step, and sends none of its lines.
PAST_THE_END = 1 << 40


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What the list of runs is filtered by, on Forgejo's side; None for all. `actor_id` is a database id."""

    workflow_id: str | None = None
    status: Status | None = None
    actor_id: int | None = None


class Forgejo:
    """What the administrator sees of Actions. Every method takes a repository that access was granted for."""

    def __init__(self, admin: AdminSession) -> None:
        self._admin = admin
        # How the newest answer was made. It chooses what is asked first; each answer is still taken for what it is.
        self._numbers_attempts: bool | None = None

    def latest(self, repo: Repo) -> int:
        """The number of the newest run. Raises NotFound."""
        answer = self._admin.get(f"{actions_path(repo)}/runs/latest")
        if answer.status == 404:
            raise RunNotFound(f"{repo} has no runs")
        if answer.status != 307:
            raise unexpected(answer)
        return self._number_of(repo, run_page.run_link(answer.location))

    def runs(self, repo: Repo, asked: ListQuery, page: int, limit: int) -> RunList:
        """A page of the list of runs, newest first. It is the dearest of all pages."""
        query = {
            "workflow": asked.workflow_id or "",
            "actor": str(asked.actor_id or 0),
            "status": str(STATUS_NUMBERS[asked.status] if asked.status else 0),
            "page": str(page),
            "limit": str(limit),
        }
        answer = self._admin.get(actions_path(repo), query)
        if answer.status != 200:
            raise NotFound(f"{repo} has no Actions") if answer.status == 404 else unexpected(answer)
        found = run_list(answer.text)
        for row in found.rows:
            if not repo.same_as(row.repo.owner, row.repo.name) or row.number < 1:
                raise UpstreamUnexpected("Forgejo lists runs of another repository")
        return found

    def run(
        self, repo: Repo, number: int, job: int = 0, attempt: int | None = None, first_will_do: bool = False
    ) -> Run:
        """The run, with a job in detail; `attempt` None is the newest, or any if the first will do. Raises NotFound."""
        path = f"{run_path(repo, number)}/jobs/{job}"
        run = None
        if self._numbers_attempts and (attempt == 1 or first_will_do):
            run = self._first_attempt(repo, number, job, path)
        if run is None:
            run = self._newest_attempt(repo, number, job, path)
        if job >= len(run.jobs):
            raise NotFound(f"run {number} has no job {job}; it has {len(run.jobs)}, counted from 0")
        return run if attempt is None else self._at_attempt(run, path, job, attempt)

    def _first_attempt(self, repo: Repo, number: int, job: int, path: str) -> Run | None:
        """By one request instead of two, for it needs no redirect to be found; None where it isn't there."""
        answer = self._admin.get(f"{path}/attempt/1")
        return self._run_at(repo, number, job, 1, answer) if answer.status == 200 else None

    def _newest_attempt(self, repo: Repo, number: int, job: int, path: str) -> Run:
        answer = self._admin.get(path)
        if answer.status in (200, 307):
            self._numbers_attempts = answer.status == 307
        if answer.status == 200:
            return self._from_shell(repo, number, job, path, answer)
        return self._from_attempt(repo, number, job, path, answer)

    def refreshed(self, run: Run) -> Run:
        """The run anew, at the same job and attempt: one request, on every version. Raises NotFound."""
        answer = self._admin.post(job_path(run), {"logCursors": []})
        if answer.status != 200:
            raise no_run(run.number, answer)
        page = run_page.RunPage(run.workflow_id, run.id, None, run.artifacts)
        newer = run_page.run(run.repo, run.number, run.detail.index, page, answer.json())
        return replace(newer, detail=replace(newer.detail, attempt=run.detail.attempt))

    def _from_shell(self, repo: Repo, number: int, job: int, path: str, shell: Answer) -> Run:
        # Only after the page, which shows whether the session is alive: the state of a public repository doesn't.
        state = self._admin.post(path, {"logCursors": []})
        if state.status != 200:
            raise no_run(number, state)
        return run_page.run(repo, number, job, run_page.run_page(shell.text), state.json())

    def _from_attempt(self, repo: Repo, number: int, job: int, path: str, redirect: Answer) -> Run:
        if redirect.status != 307:
            raise no_run(number, redirect)
        link = run_page.run_link(redirect.location)
        self._number_of(repo, link)
        if link.number != number or link.attempt is None:
            raise UpstreamUnexpected("Forgejo points to another run")
        return self._page_of_attempt(repo, number, job, path, link.attempt)

    def _page_of_attempt(self, repo: Repo, number: int, job: int, path: str, attempt: int) -> Run:
        answer = self._admin.get(f"{path}/attempt/{attempt}")
        if answer.status != 200:
            raise no_run(number, answer)
        return self._run_at(repo, number, job, attempt, answer)

    @staticmethod
    def _run_at(repo: Repo, number: int, job: int, attempt: int, answer: Answer) -> Run:
        page = run_page.run_page(answer.text)
        if page.view is None:
            raise UpstreamUnexpected("Forgejo's page of an attempt holds no state")
        run = run_page.run(repo, number, job, page, page.view)
        return replace(run, detail=replace(run.detail, attempt=attempt))

    def _at_attempt(self, run: Run, path: str, job: int, attempt: int) -> Run:
        """Another attempt of the job, after making sure that Forgejo has it: it answers 500 for one that never was,
        and while a job waits it shows an empty page for any number."""
        if run.detail.attempts == ():  # waiting, in a version that then lists none: no log is to be had
            return replace(run, detail=replace(run.detail, attempt=attempt))
        if attempt == run.detail.attempt:
            return run
        check_attempt(run.detail, attempt)
        return self._page_of_attempt(run.repo, run.number, job, path, attempt)

    def started(self, run: Run, job: int) -> datetime | None:
        """When a runner took the newest attempt of a job, by Forgejo's clock; None if none did."""
        if run.detail.attempts is not None:
            attempts = self.run(run.repo, run.number, job).detail.attempts
            return attempts[-1].started_at if attempts else None
        nothing_of_the_first_step = {"step": 0, "cursor": PAST_THE_END, "expanded": True}
        answer = self._admin.post(
            f"{run_path(run.repo, run.number)}/jobs/{job}", {"logCursors": [nothing_of_the_first_step]}
        )
        return run_page.step_started(answer.json()) if answer.status == 200 else None

    def rerun(self, run: Run, job: int | None) -> int | None:
        """Asks for the run, or one job of it, again. The new attempt of the job, or of the first, from v13 on.

        Raises Conflict when Forgejo refuses. That it answers 200 proves nothing before v15: look whether the state
        changed.
        """
        path = run_path(run.repo, run.number) + ("" if job is None else f"/jobs/{job}")
        answer = self._admin.post(f"{path}/rerun", {})
        if answer.status == 200:
            return run_page.new_attempt(answer.json())
        if answer.status == 400 and answer.media_type == "application/json":
            raise Conflict(f"Forgejo refuses: {_refusal(answer)}")
        if answer.status == 404:
            raise UpstreamUnexpected("Forgejo does not let the proxy's account rerun: it needs Actions write")
        raise unexpected(answer)

    def cancel(self, run: Run) -> None:
        """Asks for the run's end: of a finished one too, Forgejo says yes."""
        answer = self._admin.post(f"{run_path(run.repo, run.number)}/cancel", {})
        if answer.status == 404:
            raise UpstreamUnexpected("Forgejo does not let the proxy's account cancel: it needs Actions write")
        if answer.status != 200:
            raise unexpected(answer)

    @staticmethod
    def _number_of(repo: Repo, link: run_page.RunLink) -> int:
        if not repo.same_as(link.repo.owner, link.repo.name) or link.number < 1:
            raise UpstreamUnexpected("Forgejo points to another repository")
        return link.number


def check_attempt(detail: JobDetail, attempt: int) -> None:
    """Raises NotFound when the job has no such attempt, or the version can't tell attempts apart."""
    if detail.attempts is None:
        raise NotFound(
            f"attempt {attempt} can't be served: this Forgejo (before v13) shows only the newest attempt and does not "
            "number it; leave attempt out, or give attempt=latest"
        )
    numbers = [each.number for each in detail.attempts]
    if attempt not in numbers:
        known = ", ".join(map(str, numbers)) or "none yet"
        raise NotFound(f"job {detail.name!r} has no attempt {attempt}; attempts: {known}")


def actions_path(repo: Repo) -> str:
    """The repository's Actions in the web UI."""
    return f"/{quote(repo.owner, safe='')}/{quote(repo.name, safe='')}/actions"


def run_path(repo: Repo, number: int) -> str:
    """The run's page."""
    if number < 1:  # Forgejo would show any run
        raise ValueError("run numbers start at 1")
    return f"{actions_path(repo)}/runs/{number:d}"


def job_path(run: Run) -> str:
    """The page of the job and attempt that the run shows in detail."""
    path = f"{run_path(run.repo, run.number)}/jobs/{run.detail.index}"
    return path if run.detail.attempt is None else f"{path}/attempt/{run.detail.attempt}"


def no_run(number: int, answer: Answer) -> Exception:
    """Why a page of a run is not to be had."""
    return RunNotFound(f"no run {number}", number) if answer.status == 404 else unexpected(answer)


def _refusal(answer: Answer) -> str:
    message = answer.json().get("errorMessage")
    return message if isinstance(message, str) else "it gives no reason"


def unexpected(answer: Answer) -> UpstreamUnexpected:
    """For a status that says nothing known."""
    return UpstreamUnexpected(f"Forgejo answered {answer.status} where no known version does")
