"""The demo's world: a small project with runs 40 to 45, a runner that takes what waits, and a repository to push to.

What is pushed gets a run whose test fails at its first attempt, and then succeeds.
"""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Mapping, Sequence

from tests.double import demo_pages, git
from tests.double.guarded_folder import GuardedFolder
from tests.double.model import Git, Job, JobSpec, Repo, Run, Status, User
from tests.double.rerun import rerun
from tests.double.server import Double
from tests.double.world import World

ADMIN_USER = "demo-admin"
ADMIN_PASSWORD = os.environ.get("DEMO_ADMIN_PASSWORD", "demo-admin-password")
REPO = "org/repo"
ALICE_TOKEN = "a11ce".ljust(40, "0")
BOB_TOKEN = "b0b".ljust(40, "0")
# What to try, as description, curl options and path below the repository's runs.
EXAMPLES = (
    ("Why did the newest run fail?", "-H 'Accept: text/plain' ", "latest/summary"),
    ("The log of its failed job", "", "latest/logs?job=test"),
    ("Rerun what failed", "-X POST ", "latest/rerun?job=failed"),
)
VERSION = "v15"

PICKED_AFTER = 1.0
STEP_SECONDS = 0.7
LINE_SECONDS = 2.0
MOST_LINES = 500

CI = (
    JobSpec("build", steps=["checkout", "compile"]),
    JobSpec("test", steps=["install", "pytest"], needs=["build"]),
    JobSpec("lint (mypy)", steps=["mypy"]),
    JobSpec("lint (ruff)", steps=["ruff"]),
)
DEPLOY = (JobSpec("package", steps=["wheel"]), JobSpec("deploy", steps=["upload", "smoke test"], needs=["package"]))

SETUP = [
    "runner(version:v6.2.0), of task, be triggered by event: push",
    "🚀  Start image=docker.io/library/python:3.13",
]
BYE = ["🏁  Job finished"]
LINES: Mapping[str, Sequence[Sequence[str]]] = {
    "build": (
        SETUP,
        ["::group::git", "Initialized empty Git repository in /workspace/org/repo/.git/", "::endgroup::"],
        [
            "cc -O2 -Wall -c src/parse.c -o build/parse.o",
            "src/parse.c:88:9: warning: unused variable 'rest' [-Wunused-variable]",
            "cc -O2 -Wall -c src/main.c -o build/main.o",
            "cc build/parse.o build/main.o -o build/widget",
            "\x1b[32mbuild finished\x1b[0m in 3.1s ✓",
        ],
        BYE,
    ),
    "test": (
        SETUP,
        ["Collecting pytest", "Successfully installed pytest-8.4.1 pluggy-1.6.0"],
        [
            "============================= test session starts ==============================",
            "collected 214 items",
            "tests/test_parse.py ................................................ [ 22%]",
            "tests/test_main.py ................................................. [100%]",
            "============================= 214 passed in 4.02s ==============================",
        ],
        BYE,
    ),
    "lint (mypy)": (SETUP, ["Success: no issues found in 17 source files"], BYE),
    "lint (ruff)": (SETUP, ["All checks passed!"], BYE),
    "package": (SETUP, ["Successfully built widget-1.4.0-py3-none-any.whl"], BYE),
    "deploy": (
        SETUP,
        ["Uploading widget-1.4.0-py3-none-any.whl", "100% ━━━━━━━━━━━━━━ 48.1/48.1 kB • 12.4 MB/s"],
        ["GET https://widget.example/healthz: 200 in 41 ms"],
        BYE,
    ),
}
FAILED_TEST = (
    *LINES["test"][:2],
    [
        "============================= test session starts ==============================",
        "collected 214 items",
        "tests/test_parse.py ......................F......................... [ 22%]",
        "tests/test_main.py ................................................. [100%]",
        "=================================== FAILURES ===================================",
        "______________________________ test_empty_input _______________________________",
        '>       assert parse("") == []',
        "E       AssertionError: assert None == []",
        "::error file=tests/test_parse.py,line=31::assert None == []",
        "=========================== short test summary info ============================",
        "FAILED tests/test_parse.py::test_empty_input - AssertionError: assert None == []",
        "======================== 1 failed, 213 passed in 4.11s =========================",
    ],
    BYE,
)
TIMED_OUT = (
    *LINES["deploy"][:2],
    ["GET https://widget.example/healthz: no answer in 30 s", "::error::the smoke test timed out"],
    BYE,
)


class Clock:
    """Stands still while the past is made up, and then shows the real time."""

    def __init__(self, now: float) -> None:
        self.now: float | None = now

    def __call__(self) -> float:
        return time.time() if self.now is None else self.now

    def pass_by(self, seconds: float) -> None:
        if self.now is not None:
            self.now += seconds


class Demo:
    """The demo's stand-in. `start` begins to listen and to play the runner."""

    def __init__(
        self, version: str = VERSION, root_url: str = "http://forgejo.test/", port: int = 0, pace: float = 1.0
    ) -> None:
        """`pace` is how long the runner takes, as a part of its usual time."""
        self._pace = pace
        self._folder: GuardedFolder | None = None
        self._flaky: set[Job] = set()
        self._clock = Clock(time.time() - 3600)
        self.world = World(self._clock)
        self.double = Double(version, self.world, root_url, port)
        self.double.settings.front_page = self._front_page
        self._ended = threading.Event()
        self.repo = self._people()
        self._growing = self._past()
        self._clock.now = None

    def examples(self) -> list[tuple[str, str]]:
        """What to try: descriptions with commands for the demo's address."""
        base = f"{self.double.root}/api/v1/repos/{REPO}/actions/runs"
        header = f"-H 'Authorization: token {ALICE_TOKEN}'"
        return [(what, f"curl {options}{header} '{base}/{path}'") for what, options, path in EXAMPLES]

    def _front_page(self) -> str:
        return demo_pages.front_page(self.double.root, REPO, self.repo.runs, self.examples())

    def start(self) -> Double:
        if shutil.which("git"):
            self._folder = GuardedFolder("demo-git-")
            git.make(self._folder.path / "repo.git")
            self.repo.git = Git(self._folder.path / "repo.git", self._pushed)
        self.double.start()
        threading.Thread(target=self._play_runner, daemon=True).start()
        threading.Thread(target=self._grow, daemon=True).start()
        return self.double

    def stop(self) -> None:
        self._ended.set()
        self.double.stop()
        if self._folder is not None:
            self._folder.remove()

    def _people(self) -> Repo:
        world = self.world
        world.user(ADMIN_USER, ADMIN_PASSWORD, admin=True)
        alice, bob = world.user("alice"), world.user("bob")
        world.token(alice, "all", value=ALICE_TOKEN)
        world.token(bob, "all", value=BOB_TOKEN)
        world.org(REPO.partition("/")[0])
        repo = world.repo(REPO, private=False)
        repo.collaborators |= {alice: "write", bob: "read"}
        repo.next_index = 40
        return repo

    def _past(self) -> Job:
        """Runs 40 to 45. Returns the job that goes on running."""
        self._finished(self._run("ci.yml", "Parse comments"), {})
        self._finished(self._run("deploy.yml", "Release 1.4.0", DEPLOY), {})
        failed = self._finished(self._run("ci.yml", "Parse empty input"), {"test": FAILED_TEST})
        self._report(failed, FAILED_TEST)
        running = self._run("ci.yml", "Try a faster parser", CI[:2], "feature/x").jobs[0]
        twice = self._finished(self._run("deploy.yml", "Release 1.4.1", DEPLOY), {"deploy": TIMED_OUT})
        self._again(twice)
        self._finished(self._run("ci.yml", "Drop Python 3.11"), {"test": FAILED_TEST})
        self._clock.pass_by(120)
        self.world.pick(running)
        for text in SETUP:
            self.world.log(running, text)
        self.world.step(running, 0, "running")
        self.world.log(running, "Initialized empty Git repository in /workspace/org/repo/.git/")
        self.world.step(running, 0, "success")
        self.world.step(running, 1, "running")
        for number in range(12):
            self.world.log(running, f"cc -O2 -Wall -c src/module_{number}.c -o build/module_{number}.o")
        return running

    def _run(self, workflow: str, title: str, jobs: Sequence[JobSpec] = CI, branch: str = "main") -> Run:
        self._clock.pass_by(300)
        return self.world.run(self.repo, workflow, title, branch, jobs=jobs, actor=self.world.users["alice"])

    def _finished(self, run: Run, failing: Mapping[str, Sequence[Sequence[str]]]) -> Run:
        for job in run.jobs:
            self.world.pick(job)
            self._clock.pass_by(4)
            bad = failing.get(job.name)
            self.world.play(job, "failure" if bad else "success", bad or LINES[job.name])
        return run

    def _again(self, run: Run) -> None:
        """A second attempt of the job that failed, which succeeds."""
        job = next(job for job in run.jobs if job.status is Status.FAILURE)
        self._clock.pass_by(60)
        rerun(self.world, run, job)
        self.world.pick(job)
        self._clock.pass_by(4)
        self.world.play(job, "success", LINES[job.name])

    def _report(self, run: Run, lines: Sequence[Sequence[str]]) -> None:
        """What a test's last step said, as the run's artifact; one of before is replaced."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("report.txt", "\n".join(lines[-2]) + "\n")
        with self.world.lock:
            run.artifacts[:] = [each for each in run.artifacts if each.name != "test-report"]
            self.world.artifact(run, "test-report", packed.getvalue())

    # --- what goes on while it serves ---

    def _pushed(self, who: User, branch: str, commit: str, subject: str) -> None:
        run = self.world.run(self.repo, "ci.yml", subject, branch, jobs=CI, actor=who, sha=commit)
        self._flaky |= {job for job in run.jobs if job.name == "test"}

    def _play_runner(self) -> None:
        """Takes each waiting job a second after it came to wait, one thread for each."""
        seen: dict[Job, float] = {}
        while not self._ended.wait(0.2 * self._pace):
            now = time.monotonic()
            with self.world.lock:
                waiting = {job for run in self.repo.runs for job in run.jobs if job.status is Status.WAITING}
                seen = {job: seen.get(job, now) for job in waiting}
                due = [job for job, since in seen.items() if now - since >= PICKED_AFTER * self._pace]
                for job in due:
                    self.world.pick(job)
            for job in due:
                threading.Thread(target=self._play, args=(job,), daemon=True).start()

    def _play(self, job: Job) -> None:
        """A job in a few seconds, unless somebody cancels it."""
        fails = job in self._flaky and len(job.tasks) == 1
        task, lines = job.task, FAILED_TEST if fails else LINES.get(job.name, (SETUP, ["done"]))
        stages = [-1, *range(len(job.spec.steps)), len(job.spec.steps)]
        for stage, texts in zip(stages, lines, strict=False):
            with self.world.lock:
                if job.task is not task or job.status is not Status.RUNNING:
                    return
                last = stage == len(job.spec.steps)
                if stage > 0:
                    self.world.step(job, stage - 1, "failure" if fails and last else "success")
                if 0 <= stage < len(job.spec.steps):
                    self.world.step(job, stage, "running")
                for text in texts:
                    self.world.log(job, text)
                if last and job.name == "test":
                    self._report(job.run, lines)
                if last:
                    self.world.finish(job, "failure" if fails else "success")
            if self._ended.wait(STEP_SECONDS * self._pace):
                return

    def _grow(self) -> None:
        """The running job's log gains a line now and then, up to a bound."""
        job, task = self._growing, self._growing.task
        for number in range(12, MOST_LINES):
            if self._ended.wait(LINE_SECONDS):
                return
            with self.world.lock:
                if job.task is not task or job.status is not Status.RUNNING:
                    return
                at = max(self.world.now() - job.started, 0)
                self.world.log(job, f"cc -O2 -Wall -c src/module_{number}.c -o build/module_{number}.o", at=at)
