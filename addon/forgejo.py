"""Which page holds what, and how that differs between Forgejo versions.

A version is never configured or remembered: each answer shows which kind of server made it. Up to v12 a run's page
is a shell whose state comes by POST; from v13 on `…/jobs/J` redirects to an attempt's page, which carries it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from addon import pages
from addon.admin import AdminSession
from addon.errors import Conflict, Gone, NotFound, UpstreamUnexpected
from addon.model import Artifact, JobDetail, Repo, Run
from addon.transport import Answer, Stream

NOT_STARTED = b"job is not started"
CLEANED_UP = b"logs have been cleaned up"
NO_FILE = b"file does not exist"
NO_EXIST = b"resource does not exist"
# Forgejo writes a job's name into a header as it is.
HEADER = re.compile(r"[^\x00-\x1f\x7f]+")
LOG_HEADERS = ("content-length", "content-range", "accept-ranges", "content-disposition")


@dataclass(frozen=True, slots=True)
class Log:
    """A job's log: Forgejo's bytes, and those of its headers that describe them. `status` is 200, 206 or 416."""

    status: int
    headers: Mapping[str, str]
    body: Stream | None


class Forgejo:
    """What the administrator sees of Actions. Every method takes a repository that access was granted for."""

    def __init__(self, admin: AdminSession) -> None:
        self._admin = admin

    def latest(self, repo: Repo) -> int:
        """The number of the newest run. Raises NotFound."""
        answer = self._admin.get(f"{_actions(repo)}/runs/latest")
        if answer.status == 404:
            raise NotFound(f"{repo} has no runs")
        if answer.status != 307:
            raise _unexpected(answer)
        return self._number_of(repo, pages.run_link(answer.location))

    def latest_of_workflow(self, repo: Repo, workflow_id: str) -> int:
        """The number of the newest run of a workflow on any branch. Raises NotFound.

        The list page is the dearest of all, but Forgejo's own `…/runs/latest` of a workflow sees one branch only.
        """
        answer = self._admin.get(_actions(repo), {"workflow": workflow_id, "limit": "1", "page": "1"})
        if answer.status != 200:
            raise NotFound(f"{repo} has no Actions") if answer.status == 404 else _unexpected(answer)
        link = pages.first_run_in_list(answer.text)
        if link is None:
            raise NotFound(f"{repo} has no run with workflow_id={workflow_id}")
        return self._number_of(repo, link)

    def run(self, repo: Repo, number: int, job: int = 0, attempt: int | None = None) -> Run:
        """The run, with a job in detail; `attempt` None is the newest. Raises NotFound."""
        path = f"{_run(repo, number)}/jobs/{job}"
        answer = self._admin.get(path)
        if answer.status == 200:
            run = self._from_shell(repo, number, job, path, answer)
        else:
            run = self._from_attempt(repo, number, job, path, answer)
        if job >= len(run.jobs):
            raise NotFound(f"run {number} has no job {job}; it has {len(run.jobs)}, counted from 0")
        return run if attempt is None else self._at_attempt(run, path, job, attempt)

    def _from_shell(self, repo: Repo, number: int, job: int, path: str, shell: Answer) -> Run:
        page = pages.run_page(shell.text)
        if page.view is not None:
            return pages.run(repo, number, job, page, page.view)
        state = self._admin.post(path, {"logCursors": []})
        if state.status != 200:
            raise _no_run(number, state)
        return pages.run(repo, number, job, page, state.json())

    def _from_attempt(self, repo: Repo, number: int, job: int, path: str, redirect: Answer) -> Run:
        if redirect.status != 307:
            raise _no_run(number, redirect)
        link = pages.run_link(redirect.location)
        self._number_of(repo, link)
        if link.number != number or link.attempt is None:
            raise UpstreamUnexpected("Forgejo points to another run")
        return self._page_of_attempt(repo, number, job, path, link.attempt)

    def _page_of_attempt(self, repo: Repo, number: int, job: int, path: str, attempt: int) -> Run:
        answer = self._admin.get(f"{path}/attempt/{attempt}")
        if answer.status != 200:
            raise _no_run(number, answer)
        page = pages.run_page(answer.text)
        if page.view is None:
            raise UpstreamUnexpected("Forgejo's page of an attempt holds no state")
        run = pages.run(repo, number, job, page, page.view)
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

    def artifacts(self, run: Run) -> tuple[Artifact, ...]:
        """The run's artifacts: on the page from v13 on, one request more before."""
        if run.artifacts is not None:
            return run.artifacts
        answer = self._admin.get(f"{_run(run.repo, run.number)}/artifacts")
        if answer.status != 200:
            raise _no_run(run.number, answer)
        return pages.artifact_list(answer.json())

    def log(self, run: Run, method: str, headers: Mapping[str, str]) -> Log:
        """The log of the job and attempt that `run` shows in detail. `headers` may hold Range.

        Raises NotFound (not started, nothing yet) or Gone.
        """
        path = f"{_run(run.repo, run.number)}/jobs/{run.detail.index}"
        if run.detail.attempt is not None:
            path += f"/attempt/{run.detail.attempt}"
        answer = self._admin.stream(method, f"{path}/logs", headers)
        kept = {name: answer.headers[name] for name in LOG_HEADERS if HEADER.fullmatch(answer.headers.get(name, ""))}
        if isinstance(answer, Stream):
            return Log(answer.status, kept, answer)
        if answer.status == 416:
            kept.pop("content-length", None)  # that of Forgejo's message
            return Log(416, kept, None)
        raise _no_log(run, answer)

    def rerun(self, run: Run, job: int | None) -> None:
        """Asks for the run, or one job of it, again. Raises Conflict when Forgejo refuses.

        That it answers 200 proves nothing before v15: look whether the state changed.
        """
        path = _run(run.repo, run.number) + ("" if job is None else f"/jobs/{job}")
        answer = self._admin.post(f"{path}/rerun", {})
        if answer.status == 200:
            return
        if answer.status == 400 and answer.media_type == "application/json":
            raise Conflict(f"Forgejo refuses: {_refusal(answer)}")
        if answer.status == 404:
            raise UpstreamUnexpected("Forgejo does not let the proxy's account rerun: it needs Actions write")
        raise _unexpected(answer)

    @staticmethod
    def _number_of(repo: Repo, link: pages.RunLink) -> int:
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


def _actions(repo: Repo) -> str:
    return f"/{quote(repo.owner, safe='')}/{quote(repo.name, safe='')}/actions"


def _run(repo: Repo, number: int) -> str:
    if number < 1:  # Forgejo would show any run
        raise ValueError("run numbers start at 1")
    return f"{_actions(repo)}/runs/{number:d}"


def _no_run(number: int, answer: Answer) -> Exception:
    return NotFound(f"no run {number}") if answer.status == 404 else _unexpected(answer)


def _no_log(run: Run, answer: Answer) -> Exception:
    job = f"job {run.detail.index} ({run.detail.name})"
    state = run.jobs[run.detail.index].status
    if CLEANED_UP in answer.body:
        return Gone(f"the log of {job} has expired: Forgejo has deleted it")
    if NOT_STARTED in answer.body or (answer.status == 404 and not run.detail.started):
        return not_started(run)
    if answer.status == 500 and (NO_FILE in answer.body or not answer.body):
        if state.done:
            return NotFound(f"{job} is done ({state}) but its runner never uploaded a log")
        return NotFound(f"{job} has started but has no log lines yet")
    if answer.status == 500 and NO_EXIST in answer.body:
        return NotFound(f"{job} has no such attempt")
    if answer.status == 404:
        return NotFound(f"Forgejo has no log of {job}")
    return _unexpected(answer)


def not_started(run: Run) -> NotFound:
    """Why a job has no log: it waits, perhaps for a rerun, or was skipped or cancelled before it began."""
    job = run.jobs[run.detail.index]
    name = f"job {job.index} ({job.name})"
    if job.status.done:
        return NotFound(f"{name} never started ({job.status}), so it has no log")
    earlier = [each for each in run.detail.attempts or () if each.started_at is not None]
    if earlier:
        return NotFound(
            f"{name} is not started: it waits for a rerun, and until that starts Forgejo hides the logs of earlier "
            "attempts"
        )
    return NotFound(f"{name} is not started ({job.status}), so it has no log yet")


def _refusal(answer: Answer) -> str:
    message = answer.json().get("errorMessage")
    return message if isinstance(message, str) else "it gives no reason"


def _unexpected(answer: Answer) -> UpstreamUnexpected:
    return UpstreamUnexpected(f"Forgejo answered {answer.status} where no known version does")
