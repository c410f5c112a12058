"""Runs of a world, and what a scripted runner and people do to them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

from tests.double.aggregation import run_status
from tests.double.logs import TICKS, BigLog, RowLog
from tests.double.model import Artifact, Job, JobSpec, Repo, Run, Status, Step, Task, User
from tests.double.people import People

ROW_TICKS = TICKS // 2  # the runner's clock goes on by half a second with each row


class World(People):
    """Everything a stand-in holds. Survives its restarts and upgrades."""

    def run(
        self,
        repo: Repo,
        workflow_id: str = "ci.yml",
        title: str = "a run",
        branch: str = "main",
        event: str = "push",
        jobs: Sequence[JobSpec] = (JobSpec("build"),),
        actor: User | None = None,
        sha: str | None = None,
        hook_event: str | None = None,
    ) -> Run:
        """A new waiting run. `branch` may be a pull request's ref, `#12`.

        `hook_event` is `event` if not given, but "push" for a schedule: the push that brought its workflow file.
        """
        with self.lock:
            number, now = repo.next_index, self.now()
            repo.next_index += 1
            who = actor or (repo.owner if isinstance(repo.owner, User) else self.admin)
            seed = f"{repo.full_name} {number} {title}".encode()
            commit = sha or hashlib.sha1(seed, usedforsecurity=False).hexdigest()
            run = Run(self._id("run"), number, repo, workflow_id, title, branch, event, who, commit, now, now)
            run.hook_event = hook_event or ("push" if event == "schedule" else event)
            run.jobs += [self._job(run, spec) for spec in jobs]
            if workflow_id not in repo.workflows:
                repo.workflows.append(workflow_id)
            repo.runs.append(run)
            return run

    def broken_run(self, repo: Repo, error: str, warnings: Sequence[str] = (), **more: Any) -> Run | None:
        """What a broken workflow file makes: a failed run with one job of the run's title; None before v12."""
        if not self.version.broken_files_run:
            return None
        title = str(more.pop("title", "a broken file"))
        run = self.run(repo, title=title, jobs=[JobSpec(title, steps=())], **more)
        run.pre_execution_error, run.pre_execution_warnings = error, list(warnings)
        run.jobs[0].status = Status.FAILURE
        self.update_run(run)
        return run

    # --- what a runner does ---

    def pick(self, job: Job, clock: int | None = None) -> Task:
        """The runner takes the job. `clock` is what its clock says, in ticks of 100 ns; else it goes right."""
        with self.lock:
            if job.status not in (Status.WAITING, Status.BLOCKED):
                raise ValueError(f"job {job.name} is {job.status}, there is nothing to pick")
            now = self.now()
            if self.version.attempt_at_creation:
                job.attempt = max(job.attempt, 1)
            else:
                job.attempt = len(job.tasks) + 1
            ticks = now * TICKS + 7 if clock is None else clock
            steps = [Step(name) for name in job.spec.steps]
            task = Task(self._id("task"), job, job.attempt, now, ticks, steps, updated=now)
            job.tasks.append(task)
            job.task, job.started, job.stopped, job.status = task, now, 0, Status.RUNNING
            self.update_run(job.run)
            return task

    def call(self, job: Job, result: str) -> None:
        """A job that calls a reusable workflow ends as that one's jobs did: with a task that no runner took (v15)."""
        with self.lock:
            task = self.pick(job)
            task.steps, task.file_name = [], ""
            self.finish(job, result)

    def log(self, job: Job, text: str, at: float | None = None) -> None:
        """One row of the running step's log; `at` sets the runner's clock to that many seconds after the pickup."""
        with self.lock:
            task = self._task(job)
            if not isinstance(task.log, RowLog):
                task.log = RowLog()
            if at is not None:
                task.clock = task.started * TICKS + int(at * TICKS)
            task.log.append(task.clock + job.clock_skew * TICKS, text)
            task.clock += ROW_TICKS
            task.updated = self.now()
            for step in task.steps:
                if step.status is Status.RUNNING:
                    step.log_length += 1

    def big_log(self, job: Job, size_bytes: int) -> None:
        """A log of that size, made up as it is read. Picks the job when it waits."""
        with self.lock:
            task = self._task(job) if job.status is Status.RUNNING else self.pick(job)
            task.log = BigLog(size_bytes, task.clock)
            task.steps[0].status, task.steps[0].started = Status.RUNNING, task.clock // TICKS
            task.steps[0].log_length = task.log.rows

    def step(self, job: Job, index: int, status: str) -> None:
        """A step of the workflow file, counted from 0, is now `running`, or ended with `status`."""
        with self.lock:
            task, state = self._task(job), Status(status)
            step, seconds = task.steps[index], task.clock // TICKS
            if step.status is Status.WAITING and state is not Status.SKIPPED:
                step.started, step.log_index = seconds, task.log.rows if task.log else 0
            if state.done and state is not Status.SKIPPED:
                step.stopped = seconds
            step.status = state

    def finish(self, job: Job, result: str) -> None:
        """The job ends: its running step with it, those to come are skipped. One never picked ends without a task."""
        with self.lock:
            status = Status(result)
            if job.task is not None and not job.task.status.done:
                task, seconds = job.task, job.task.clock // TICKS
                for step in task.steps:
                    if step.status is Status.RUNNING:
                        step.status, step.stopped = status, seconds
                    elif step.status is Status.WAITING:
                        step.status = Status.SKIPPED
                task.status, task.stopped, task.updated = status, seconds, self.now()
                self.tokens.pop(task.token, None)
                job.stopped = seconds
            job.status = status
            self._release(job.run)
            self.update_run(job.run)

    def play(self, job: Job, result: str = "success", lines_by_step: Sequence[Sequence[str]] = ()) -> None:
        """A whole job at once. The lines are those of "Set up job", of each step, of "Complete job".

        When it fails, the last step with lines is the one that failed.
        """
        with self.lock:
            if job.status is not Status.RUNNING:
                self.pick(job)
            lines = [list(each) for each in lines_by_step] or [[f"set up {job.name}"]]
            count = len(job.spec.steps)
            last = min(max(len(lines) - 1, 1), count) if result == "failure" else count
            for text in lines[0]:
                self.log(job, text)
            for index in range(last):
                self.step(job, index, "running")
                for text in lines[index + 1] if index + 1 < len(lines) else []:
                    self.log(job, text)
                self.step(job, index, result if index == last - 1 else "success")
            for text in lines[count + 1] if count + 1 < len(lines) else []:
                self.log(job, text)
            self.finish(job, result)

    @staticmethod
    def _task(job: Job) -> Task:
        if job.task is None:
            raise ValueError(f"job {job.name} was not picked")
        return job.task

    # --- what a server and people do ---

    def expire_logs(self, job: Job) -> None:
        """The retention time is over for every attempt's log."""
        with self.lock:
            for task in job.tasks:
                task.expired, task.log = True, None

    def artifact(self, run: Run, name: str, data: bytes, v3: bool = False) -> Artifact:
        with self.lock:
            artifact = Artifact(self._id("artifact"), run, name, data, self.now(), v3=v3)
            run.artifacts.append(artifact)
            return artifact

    def cancel(self, run: Run) -> None:
        """Every unfinished job is cancelled; nothing happens to a finished run."""
        with self.lock:
            for job in run.jobs:
                self.cancel_job(job)
            self.update_run(run)

    def cancel_job(self, job: Job) -> None:
        if job.status.done:
            return
        now = self.now()
        if job.task is not None and not job.task.status.done:
            job.task.status, job.task.stopped = Status.CANCELLED, now
            self.tokens.pop(job.task.token, None)
            for step in job.task.steps:
                if not step.status.done:
                    step.status = Status.CANCELLED
        job.status, job.stopped = Status.CANCELLED, now if job.started else 0

    def update_run(self, run: Run) -> None:
        """The run's status follows from its jobs', each version in its way."""
        now = self.now()
        run.status = run_status(self.version, [job.status for job in run.jobs])
        if not run.started and run.status is Status.RUNNING:
            run.started = now
        if not run.stopped and run.status.done:
            run.stopped = now
        run.updated = now

    def replace(self, placeholder: Job, specs: Sequence[JobSpec]) -> list[Job]:
        """The matrix behind a waiting placeholder is known: its row is deleted, and new ones are added at the end."""
        with self.lock:
            run = placeholder.run
            run.jobs.remove(placeholder)
            jobs = [self._job(run, spec) for spec in specs]
            run.jobs += jobs
            self.update_run(run)
            return jobs

    def _job(self, run: Run, spec: JobSpec) -> Job:
        status = Status.BLOCKED if spec.needs else Status.WAITING
        job = Job(self._id("job"), run, spec, str(uuid.uuid4()), status)
        job.attempt = 1 if self.version.attempt_at_creation else 0
        return job

    def _release(self, run: Run) -> None:
        """Blocked jobs whose needs are done wait for a runner, or are skipped when a need did not succeed."""
        changed = True
        while changed:
            changed = False
            for job in run.jobs:
                needs = [other.status for other in run.jobs if {other.spec.key, other.name} & set(job.spec.needs)]
                if job.status is not Status.BLOCKED or not all(status.done for status in needs):
                    continue
                fine = all(status is Status.SUCCESS for status in needs)
                job.status, changed = Status.WAITING if fine else Status.SKIPPED, True
