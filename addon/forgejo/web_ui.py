"""Runs in Forgejo's web UI, read and changed with the administrator's session.

The version is never configured or remembered. Each response shows which kind of server sent it. Before v13 a run's page
is an empty shell, and its state comes by POST. Since v13 `…/jobs/J` redirects to the page of an attempt, which has the
state.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from addon.errors import Conflict, NotFound, UpstreamUnexpected
from addon.forgejo.admin.session import AdminSession
from addon.forgejo.parsers import run_page
from addon.forgejo.parsers.attempts import check_attempt, newest_number, shows_newest
from addon.forgejo.parsers.run_list import STATUS_NUMBERS, ListQuery, RunList, run_list
from addon.forgejo.parsers.values import RunLink, run_link
from addon.forgejo.transport import Response
from addon.forgejo.web_routes import actions_path, job_path, no_runs, run_error, run_path, unexpected_status
from addon.model import Job, Repo, Run

# A log cursor behind the last line: the view then shows the step's start and none of its lines.
PAST_THE_END = 1 << 40
# How often a run is read again because its jobs were replaced meanwhile.
READINGS = 3


class WebUi:
    """Runs as the administrator sees them. Every method needs a repository that access was granted for."""

    def __init__(self, session: AdminSession) -> None:
        self._session = session
        # What the newest response showed. It chooses the first request; each response is still checked for itself.
        self._numbers_attempts: bool | None = None

    def latest(self, repo: Repo) -> int:
        """The number of the newest run. Raises RunNotFound."""
        response = self._session.get(f"{actions_path(repo)}/runs/latest")
        if response.status == 404:
            raise no_runs(repo)
        if response.status != 307:
            raise unexpected_status(response)
        return self._number_in(repo, run_link(response.location))

    def runs(self, repo: Repo, filters: ListQuery, page: int, limit: int) -> RunList:
        """One page of the list of runs, the newest first. It is the most expensive page of all."""
        query = {
            "workflow": filters.workflow_id or "",
            "actor": str(filters.actor_id or 0),
            "status": str(STATUS_NUMBERS[filters.status] if filters.status else 0),
            "page": str(page),
            "limit": str(limit),
        }
        response = self._session.get(actions_path(repo), query)
        if response.status != 200:
            raise NotFound(f"{repo} has no Actions") if response.status == 404 else unexpected_status(response)
        found = run_list(response.text)
        for row in found.rows:
            if not repo.same_as(row.repo.owner, row.repo.name) or row.number < 1:
                raise UpstreamUnexpected("Forgejo lists runs of another repository")
        return found

    def run(self, repo: Repo, number: int, job: int = 0, attempt: int | None = None, any_attempt: bool = False) -> Run:
        """The run with one job in detail, at an attempt or (None) the newest one. Raises NotFound.

        `any_attempt` says that the job's detail does not matter, so the cheapest page may be read.
        """
        run = self._read(repo, number, job, attempt, any_attempt)
        if job >= len(run.jobs):
            raise NotFound(f"run {number} has no job {job}; it has {len(run.jobs)}, counted from 0")
        return run if attempt is None else self._at_attempt(run, f"{run_path(repo, number)}/jobs/{job}", job, attempt)

    def same_job(self, run: Run, job: Job, attempt: int | None = None) -> Run:
        """The present state of the run with the same job in detail, wherever it is now. Raises NotFound.

        Since v14 Forgejo may delete a job of an unfinished run and add others in its place, so indexes shift.
        """
        index = job.index
        for _ in range(READINGS):
            now = self._read(run.repo, run.number, index)
            if now.jobs[now.detail.index].id == job.id:
                if attempt is None:
                    return now
                return self._at_attempt(now, f"{run_path(run.repo, run.number)}/jobs/{index}", index, attempt)
            index = _present_index(now, job)
        raise UpstreamUnexpected("the jobs of the run keep changing")

    def _read(self, repo: Repo, number: int, job: int, attempt: int | None = None, any_attempt: bool = False) -> Run:
        """The run with a job in detail; with job 0 if there is no such job."""
        path = f"{run_path(repo, number)}/jobs/{job}"
        cheap = self._numbers_attempts and attempt in (None, 1)
        first = self._first_attempt(repo, number, job, path) if cheap else None
        if first is not None and (attempt == 1 or any_attempt or shows_newest(first)):
            return first
        if first is not None and (newest := newest_number(first)):
            return self._page_of_attempt(repo, number, job, path, newest)
        return self._newest_attempt(repo, number, job, path)

    def in_detail(self, run: Run, job: Job) -> Run:
        """The run with this job in detail, at its newest attempt. Its page is read only if the run does not show it."""
        known = job.index == run.detail.index and (run.detail.attempts is None or shows_newest(run))
        return run if known else self.same_job(run, job)

    def refreshed(self, run: Run, any_job: bool = False) -> Run:
        """The present state of the same run, job and attempt, mostly with one request. Raises NotFound.

        With `any_job`, another job may be in detail if Forgejo has replaced this one.
        """
        job = run.jobs[run.detail.index]
        response = self._session.post(job_path(run), {"logCursors": []})
        if response.status == 500:  # another job is at this index now, without such an attempt
            return self._read(run.repo, run.number, 0) if any_job else self.same_job(run, job, run.detail.attempt)
        if response.status != 200:
            raise run_error(run.number, response)
        page = run_page.RunPage(run.workflow_id, run.id, None, run.artifacts)
        newer = run_page.run(run.repo, run.number, run.detail.index, page, response.json())
        if newer.jobs[newer.detail.index].id != job.id and any_job:
            return self._read(run.repo, run.number, 0)
        if newer.jobs[newer.detail.index].id != job.id:
            return self.same_job(run, job, run.detail.attempt)
        return replace(newer, detail=replace(newer.detail, attempt=run.detail.attempt))

    def job_started(self, run: Run, job: int) -> datetime | None:
        """When a runner took the newest attempt of a job, by Forgejo's clock; None if none did."""
        if run.detail.attempts is not None:
            attempts = self.run(run.repo, run.number, job).detail.attempts
            return attempts[-1].started_at if attempts else None
        path = f"{run_path(run.repo, run.number)}/jobs/{job}"
        for cursor in (PAST_THE_END, 0):  # of an expired log, it tells the start only together with the first line
            response = self._session.post(path, {"logCursors": [{"step": 0, "cursor": cursor, "expanded": True}]})
            if response.status == 200 and (started := run_page.step_started(response.json())):
                return started
        return None

    def step_starts(self, run: Run) -> tuple[datetime | None, ...] | None:
        """When each step of the job in detail started, by Forgejo's clock; None if the page does not tell."""
        for cursor in (PAST_THE_END, 0):  # of an expired log, it tells the start only together with the first line
            wanted = [{"step": step, "cursor": cursor, "expanded": True} for step in range(len(run.detail.steps))]
            response = self._session.post(job_path(run), {"logCursors": wanted})
            starts = run_page.step_starts(response.json()) if response.status == 200 else ()
            if len(starts) == len(wanted):
                return starts
        return None

    def newest_attempt(self, repo: Repo, number: int, job: int) -> int | None:
        """The number of a job's newest attempt; None before v13, which does not number attempts."""
        response = self._session.get(f"{run_path(repo, number)}/jobs/{job}")
        if response.status == 200:
            return None
        if response.status != 307:
            raise run_error(number, response)
        link = run_link(response.location)
        if self._number_in(repo, link) != number:
            raise UpstreamUnexpected("Forgejo points to another run")
        return link.attempt

    def rerun(self, run: Run, job: Job | None) -> int | None:
        """Requests a rerun of the run or of one job. Returns the new attempt of that (or the first) job, from v13 on.

        Raises Conflict if Forgejo refuses. Before v15 a 200 proves nothing: check whether the state has changed.
        """
        path = run_path(run.repo, run.number) + ("" if job is None else f"/jobs/{job.index}")
        response = self._session.post(f"{path}/rerun", {})
        if response.status == 200:
            return run_page.new_attempt(response.json())
        if response.status == 400 and response.media_type == "application/json":
            raise Conflict(f"Forgejo refuses: {_reason(response)}")
        if response.status == 404:
            raise UpstreamUnexpected("Forgejo does not let the proxy's account rerun: it needs Actions write")
        raise unexpected_status(response)

    def cancel(self, run: Run) -> None:
        """Requests the cancel of a run. Forgejo accepts it for a finished run too."""
        response = self._session.post(f"{run_path(run.repo, run.number)}/cancel", {})
        if response.status == 404:
            raise UpstreamUnexpected("Forgejo does not let the proxy's account cancel: it needs Actions write")
        if response.status != 200:
            raise unexpected_status(response)

    def _first_attempt(self, repo: Repo, number: int, job: int, path: str) -> Run | None:
        """Attempt 1 with one request, without the redirect that names the newest; None if it isn't there."""
        response = self._session.get(f"{path}/attempt/1")
        return self._run_at(repo, number, job, 1, response) if response.status == 200 else None

    def _newest_attempt(self, repo: Repo, number: int, job: int, path: str) -> Run:
        response = self._session.get(path)
        if response.status in (200, 307):
            self._numbers_attempts = response.status == 307
        if response.status == 200:
            return self._from_shell(repo, number, job, path, response)
        return self._from_redirect(repo, number, job, path, response)

    def _from_shell(self, repo: Repo, number: int, job: int, path: str, shell: Response) -> Run:
        # After the page, which shows whether the session is alive: a public repository's state doesn't show that.
        state = self._session.post(path, {"logCursors": []})
        if state.status != 200:
            raise run_error(number, state)
        return run_page.run(repo, number, job, run_page.run_page(shell.text), state.json())

    def _from_redirect(self, repo: Repo, number: int, job: int, path: str, redirect: Response) -> Run:
        if redirect.status != 307:
            raise run_error(number, redirect)
        link = run_link(redirect.location)
        self._number_in(repo, link)
        if link.number != number or link.attempt is None:
            raise UpstreamUnexpected("Forgejo points to another run")
        return self._page_of_attempt(repo, number, job, path, link.attempt)

    def _page_of_attempt(self, repo: Repo, number: int, job: int, path: str, attempt: int) -> Run:
        response = self._session.get(f"{path}/attempt/{attempt}")
        if response.status != 200:
            raise run_error(number, response)
        return self._run_at(repo, number, job, attempt, response)

    @staticmethod
    def _run_at(repo: Repo, number: int, job: int, attempt: int, response: Response) -> Run:
        page = run_page.run_page(response.text)
        if page.view is None:
            raise UpstreamUnexpected("Forgejo's page of an attempt holds no state")
        run = run_page.run(repo, number, job, page, page.view)
        return replace(run, detail=replace(run.detail, attempt=attempt))

    def _at_attempt(self, run: Run, path: str, job: int, attempt: int) -> Run:
        """Another attempt of the job, if it exists.

        Forgejo answers 500 for an attempt that never was. While a job waits, it shows an empty page for any number.
        """
        if run.detail.attempts == ():  # waiting, in a version that lists no attempt then: there is no log
            return replace(run, detail=replace(run.detail, attempt=attempt))
        if attempt == run.detail.attempt:
            return run
        check_attempt(run.detail, attempt)
        return self._page_of_attempt(run.repo, run.number, job, path, attempt)

    @staticmethod
    def _number_in(repo: Repo, link: RunLink) -> int:
        if not repo.same_as(link.repo.owner, link.repo.name) or link.number < 1:
            raise UpstreamUnexpected("Forgejo points to another repository")
        return link.number


def _present_index(run: Run, job: Job) -> int:
    found = run.job(job.id)
    if found is None:
        raise NotFound(f"Forgejo has replaced job {job.index} ({job.name}) of run {run.number} by other jobs")
    return found.index


def _reason(response: Response) -> str:
    message = response.json().get("errorMessage")
    return message if isinstance(message, str) else "it gives no reason"
