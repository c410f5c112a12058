"""The REST API: the checks before its handlers, in Forgejo's order, and the routes that permission checks use."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from tests.double import answers, schema
from tests.double.context import Context, context
from tests.double.identity import BAD
from tests.double.model import Org, Repo, Run, Status
from tests.double.permissions import Principal, allowed, sees
from tests.double.web import number

routes = Blueprint("api", __name__, url_prefix="/api")
REPO = "/v1/repos/<owner>/<name>"
ACTIONS = f"{REPO}/actions"


class RefusalError(Exception):
    """The answer of a check that failed."""

    def __init__(self, response: Response) -> None:
        self.response = response


@routes.errorhandler(RefusalError)
def refused(error: RefusalError) -> Response:
    return error.response


def failure(status: int, message: str) -> Response:
    """An error in the API's form."""
    ctx = context()
    body: dict[str, Any] = {"message": message, "url": f"{ctx.root}/api/swagger"}
    if status == 404:
        body["errors"] = [] if ctx.version.number >= 9 else None
    return answers.document(body, status, api=True)


def refuse(status: int, message: str) -> RefusalError:
    return RefusalError(failure(status, message))


def missing() -> RefusalError:
    return refuse(404, "The target couldn't be found.")


def absent(message: str) -> RefusalError:
    """A 404 of a handler. Unlike that of a check, it lists no errors."""
    body = {"message": message, "url": f"{context().root}/api/swagger"}
    return RefusalError(answers.document(body, 404, api=True))


def no_route() -> Response:
    return answers.text(404, "404 page not found")


def only(condition: bool) -> None:
    """Routes that the version does not have."""
    if not condition:
        raise RefusalError(no_route())


def caller(category: str | None = None, level: str | None = None) -> tuple[Context, Principal]:
    """Whose request it is, after the checks that come before any repository is looked for."""
    ctx = context()
    principal = ctx.principal
    if principal is BAD:
        quoted = request.headers.get("Authorization", "").partition(" ")[2]
        exists = ctx.version.quotes_tokens and quoted
        raise refuse(
            401, f"access token does not exist [sha: {quoted}]" if exists else "invalid username, password or token"
        )
    if principal.user and not principal.user.active:
        raise refuse(403, "This account is not activated.")
    if principal.user and principal.user.prohibited:
        raise refuse(403, "This account is prohibited from signing in, please contact your site administrator.")
    if principal.user and principal.user.must_change_password:
        raise refuse(403, "You must change your password. Change it at: /user/settings/change_password")
    if ctx.settings.REQUIRE_SIGNIN_VIEW and principal.user is None:
        raise refuse(403, "Only signed in user is allowed to call APIs.")
    principal = _sudo(ctx, principal)
    wanted = level or ("read" if request.method in ("GET", "HEAD") else "write")
    if category and principal.token and not principal.token.allows(wanted, category):
        raise refuse(403, f"token does not have at least one of required scope(s): [{wanted}:{category}]")
    return ctx, principal


def _sudo(ctx: Context, principal: Principal) -> Principal:
    name = request.args.get("sudo") or request.headers.get("Sudo")
    if not name:
        return principal
    if principal.user is None or not principal.user.admin:
        raise refuse(403, "Only administrators allowed to sudo.")
    user = ctx.world.users.get(name.lower())
    if user is None:
        raise missing()
    return Principal(principal.label, user, principal.token)


def repository(owner: str, name: str, unit: str | None = None) -> tuple[Context, Repo, Principal]:
    """A repository that the caller may see, with the right to read a unit of it."""
    ctx, principal = caller("repository")
    repo = ctx.world.find_repo(owner, name)
    renamed = ctx.world.renames.get(f"{owner}/{name}".lower())
    if repo is None and renamed is not None:
        path = request.environ["double.path"].replace(f"{owner}/{name}", renamed.full_name, 1)
        query = request.query_string.decode()
        raise RefusalError(answers.redirect(f"{ctx.sub}{path}" + (f"?{query}" if query else ""), 307, request.method))
    if repo is None or not sees(ctx.version, principal, repo):
        raise missing()
    token = principal.token
    if token and token.public_only and repo.private and ctx.version.public_only_everywhere:
        raise refuse(403, "token scope is limited to public repos")
    if unit == "repo.actions" and not repo.has_actions and ctx.version.api_needs_unit:
        raise missing()
    if unit and not allowed(ctx.version, principal, repo, unit, "read"):
        raise refuse(403, "user should have a permission to read from a repo")
    return ctx, repo, principal


def signed_in(repo: Repo, principal: Principal) -> None:
    """Routes that need somebody; these heed a public-only token in every version."""
    if principal.user is None:
        raise refuse(401, "token is required")
    if principal.token and principal.token.public_only and repo.private:
        raise refuse(403, "token scope is limited to public repos")


def writable(owner: str, name: str, unit: str, archived_too: bool = False) -> tuple[Context, Repo, Principal]:
    """A repository a unit of which the signed-in caller may write."""
    ctx, repo, principal = repository(owner, name, unit)
    signed_in(repo, principal)
    if not allowed(ctx.version, principal, repo, unit, "write"):
        raise refuse(403, "user should have a permission to write to a repo")
    if repo.archived and not archived_too:
        raise refuse(423, f"{repo.full_name} is archived")
    return ctx, repo, principal


def body() -> dict[str, Any]:
    """The JSON object of the request."""
    if not request.get_data():
        return {}
    value = request.get_json(silent=True, force=True)
    if not isinstance(value, dict):
        raise refuse(422, "the body can't be read as JSON")
    return value


def some(entries: list[Any]) -> list[Any]:
    """The page that was asked for. Without `page`, `limit` is not heeded."""
    page, limit = request.args.get("page", 0, int), request.args.get("limit", 0, int)
    size = min(limit, 50) if limit > 0 else 30
    return entries[(page - 1) * size : page * size] if page >= 1 else entries


@routes.get("/healthz")
def healthz() -> Response:
    return answers.document({"status": "pass", "description": "stand-in", "checks": {}})


@routes.get("/v1/version")
def version() -> Response:
    ctx, _ = caller()
    return answers.document({"version": ctx.version.reported}, api=True)


@routes.get("/v1/user")
def me() -> Response:
    ctx, principal = caller("user")
    if principal.user is None:
        raise refuse(401, "token is required")
    return answers.document(schema.user(ctx.world, principal.user, ctx.root, principal.user), api=True)


@routes.get("/v1/users/<name>")
def one_user(name: str) -> Response:
    ctx, principal = caller("user")
    found = ctx.world.users.get(name.lower()) or ctx.world.orgs.get(name.lower())
    if found is None:
        raise missing()
    return answers.document(schema.user(ctx.world, found, ctx.root, principal.user), api=True)


@routes.get(REPO)
def one_repository(owner: str, name: str) -> Response:
    ctx, repo, principal = repository(owner, name)
    return answers.document(schema.repository(ctx.world, repo, principal, ctx.root), api=True)


@routes.get(f"{REPO}/teams")
def teams(owner: str, name: str) -> Response:
    _, repo, principal = repository(owner, name)
    signed_in(repo, principal)
    if not isinstance(repo.owner, Org):
        raise refuse(405, "repo is not owned by an organization")
    found = []
    for team in repo.owner.teams:
        permission = team.permission or ("read" if team.units else "none")
        rights = {"permission": permission, "units": list(team.units), "units_map": dict(team.units)}
        found.append({"id": team.id, "name": team.name, "description": "", "organization": None, **rights})
    return answers.document(found, api=True)


@routes.post(f"{REPO}/branches")
def create_branch(owner: str, name: str) -> Response:
    """Nothing that has a name is ever created here."""
    writable(owner, name, "repo.code")
    if not body().get("new_branch_name"):
        return failure(422, "[BranchName]: Required")
    return failure(409, "The branch already exists.")


@routes.get(f"{ACTIONS}/tasks")
def tasks(owner: str, name: str) -> Response:
    only(context().version.tasks_route)
    ctx, repo, _ = repository(owner, name, "repo.actions")
    found = [task for run in repo.runs for job in run.jobs for task in job.tasks]
    if ctx.version.number >= 15 and (wanted := request.args.getlist("status")):
        found = [task for task in found if task.status in wanted]
    found.sort(key=lambda task: -task.id)
    entries = [schema.task(task, ctx.root) for task in some(found)]
    return answers.document({"workflow_runs": entries, "total_count": len(found)}, api=True)


@routes.get(f"{ACTIONS}/runs")
def runs(owner: str, name: str) -> Response:
    only(context().version.runs_route)
    ctx, repo, principal = repository(owner, name, "repo.actions")
    found = [run for run in repo.runs if _wanted(ctx, run)]
    if ctx.version.runs_newest_first:
        found.reverse()
    elif ctx.world.scrambled:
        found.sort(key=lambda run: (run.index * 7919) % 1009)
    entries = [schema.run(ctx.world, run, principal, ctx.root) for run in some(found)]
    return answers.document({"workflow_runs": entries, "total_count": len(found)}, api=True)


def _wanted(ctx: Context, run: Run) -> bool:
    query = request.args
    statuses, events = query.getlist("status"), query.getlist("event")
    for status in statuses:
        if status not in list(Status):
            raise refuse(400, f"unknown status: {status}")
    wanted = query.get("run_number", 0, int)
    fits = [
        not statuses or run.status in statuses,
        not events or run.hook_event in events,
        wanted <= 0 or run.index == wanted,
        query.get("head_sha") in (None, "", run.sha),
    ]
    if ctx.version.runs_by_workflow:
        fits.append(query.get("workflow_id") in (None, "", run.workflow_id))
        fits.append(query.get("ref") in (None, "", run.full_ref))
    return all(fits)


@routes.get(f"{ACTIONS}/runs/<run_id>")
def one_run(owner: str, name: str, run_id: str) -> Response:
    only(context().version.runs_route)
    ctx, repo, principal = repository(owner, name, "repo.actions")
    return answers.document(schema.run(ctx.world, run_by_id(repo, run_id), principal, ctx.root), api=True)


def run_by_id(repo: Repo, run_id: str) -> Run:
    wanted = number(run_id)
    for run in repo.runs:
        if run.id == wanted:
            return run
    raise absent(f"run with id {wanted}: resource does not exist")


@routes.post(f"{ACTIONS}/workflows/<workflow>/dispatches")
def dispatch(owner: str, name: str, workflow: str) -> Response:
    """A ref is looked at before the workflow is."""
    only(context().version.dispatch_route)
    ctx, repo, principal = writable(owner, name, "repo.actions")
    wanted = body()
    if not wanted.get("ref"):
        return failure(400, "ref is empty")
    if workflow not in repo.workflows:
        return failure(404, "The target couldn't be found.")
    ctx.world.run(repo, workflow, "dispatched", str(wanted["ref"]), "workflow_dispatch", actor=principal.user)
    return Response("", 204)
