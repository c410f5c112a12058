"""The stand-in Forgejo as one of the servers that the contract is held against."""

from __future__ import annotations

from tests.double import Double, JobSpec
from tests.double.model import Repo, User
from tests.live import workflows
from tests.live.runner import Runner, Task
from tests.live.server import PRIVATE, PUBLIC, TOKENS, WRITER_AND_READER, Server, Teams


class StandIn(Server):
    """People and pushes are made in its world; the scripted runner speaks to it over HTTP."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self.double = Double(version=version).start()
        self.url = self.double.url
        world = self.double.world
        self.admin = (world.admin.name, world.admin.password)
        self._people: dict[str, User] = {}
        for role in list(self.users):
            self.person(role)
        self._repos: dict[str, Repo] = {}
        self.repository(PRIVATE)
        self.repository(PUBLIC, private=False)
        self.runner = Runner(self.url, "registration", self.label)

    @property
    def version(self) -> str:
        return self.double.world.version.reported.partition("+")[0]

    def push(self, workflow: str, title: str, branch: str = "main", repo: str = PRIVATE) -> int:
        specs = [JobSpec(job.name, job.steps, job.needs, (job.label,)) for job in workflows.jobs(workflow, self.label)]
        world, target = self.double.world, self._repos[self.repo(repo)]
        for run in target.runs:  # as Forgejo does
            if (run.workflow_id, run.ref) == (workflow, branch) and not run.done:
                world.cancel(run)
        return world.run(target, workflow, title, branch, jobs=specs).index

    def repository(self, name: str, private: bool = True) -> None:
        self._repos[self.repo(name)] = self.double.world.repo(self.repo(name), private=private)
        for role, right in WRITER_AND_READER:
            self.collaborator(name, role, right)

    def collaborator(self, repo: str, role: str, right: str) -> None:
        self._repos[self.repo(repo)].collaborators[self._people[role]] = right

    def push_broken(self, repo: str) -> None:
        error = "Unable to parse jobs in workflow: yaml: unmarshal errors:\n  line 5: cannot unmarshal !!str"
        self.double.world.broken_run(self._repos[self.repo(repo)], error, workflow_id="broken.yml")

    def artifact(self, task: Task, name: str, data: bytes) -> None:
        run = next(run for run in self._repos[self.repo(PRIVATE)].runs if run.index == task.run_number)
        self.double.world.artifact(run, name, data)

    def change(self, repo: str, **settings: bool) -> None:
        for name, value in settings.items():
            setattr(self._repos[self.repo(repo)], name, value)

    def person(self, role: str) -> None:
        world, name = self.double.world, self.users.setdefault(role, f"{role}-{self.unique}")
        user = self._people[role] = world.user(name)
        self.passwords[role] = user.password
        for suffix, scopes in TOKENS.items():
            wide = [scope for scope in scopes if scope != "public-only"]
            self.tokens[role + suffix] = world.token(user, *wide, public_only=len(wide) < len(scopes))

    def mark(self, role: str, **traits: bool) -> None:
        for name, value in traits.items():
            setattr(self._people[role], "prohibited" if name == "prohibit_login" else name, value)

    def token_of(self, role: str, name: str, *repos: str) -> None:
        limit = [self._repos[self.repo(repo)] for repo in repos]
        self.tokens[name] = self.double.world.token(self._people[role], "write:repository", repositories=limit)

    def organisation(self, name: str, visibility: str, teams: Teams, private: bool) -> None:
        org = self.double.world.org(name, [self._people["owner"]])
        org.visibility = visibility
        for team, (units, members) in teams.items():
            org.team(team, [self._people[role] for role in members], units)
        self._repos[f"{name}/demo"] = self.double.world.repo(f"{name}/demo", private=private)

    def close(self) -> None:
        self.double.stop()
