"""The objects of the API."""

from __future__ import annotations

import hashlib
import json
import time
from functools import cache
from typing import Any

from tests.double import answers
from tests.double.model import Artifact, Job, Org, Repo, Run, Task, User
from tests.double.people import People
from tests.double.permissions import Principal, allowed
from tests.double.view import all_steps, run_seconds

NEVER = "0001-01-01T00:00:00Z"


def moment(seconds: int) -> str:
    """RFC 3339; the epoch for what is not set."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def set_moment(world: People, seconds: int) -> str | None:
    """A time of a run or step; since v17 null for what is not set."""
    return None if world.version.null_times and not seconds else moment(seconds)


def user(world: People, who: User | Org, root: str, viewer: User | None = None) -> dict[str, Any]:
    """An account; more of it is told to itself and to administrators."""
    told = isinstance(who, User) and viewer is not None and (viewer is who or viewer.admin)
    avatar = hashlib.md5(who.name.encode(), usedforsecurity=False).hexdigest()
    result: dict[str, Any] = {"id": who.id, "login": who.name, "login_name": ""}
    if world.version.number >= 9:
        result["source_id"] = 0
    result |= {"full_name": "", "email": f"{who.name}@noreply.example", "avatar_url": f"{root}/avatars/{avatar}"}
    if world.version.number >= 9:
        result["html_url"] = f"{root}/{who.name}"
    return result | {
        "language": who.language if told and isinstance(who, User) else "",
        "is_admin": told and isinstance(who, User) and who.admin,
        "last_login": moment(0) if told else NEVER,
        "created": moment(who.created),
        "restricted": isinstance(who, User) and who.restricted,
        "active": told,
        "prohibit_login": False,
        "location": "",
        "pronouns": "",
        "website": "",
        "description": "",
        "visibility": "public",
        "followers_count": 0,
        "following_count": 0,
        "starred_repos_count": 0,
        "username": who.name,
    }


def repository(world: People, repo: Repo, principal: Principal, root: str) -> dict[str, Any]:
    """`permissions` tell of the Code unit only, and of the user, not of the token; a running job is its own user."""
    version, url = world.version, f"{root}/{repo.full_name}"
    is_job = principal.token is not None and principal.token.job_of is not None
    holder = principal if version.token_reducers or is_job else Principal(principal.label, principal.user)
    rights = {
        key: allowed(version, holder, repo, "repo.code", level)
        for key, level in (("admin", "admin"), ("push", "write"), ("pull", "read"))
    }
    result = {
        "id": repo.id,
        "owner": user(world, repo.owner, root),
        "name": repo.name,
        "full_name": repo.full_name,
        "description": "",
        "empty": False,
        "private": repo.private,
        "fork": False,
        "template": False,
        "parent": None,
        "mirror": False,
        "size": 27,
        "language": "",
        "languages_url": f"{root}/api/v1/repos/{repo.full_name}/languages",
        "html_url": url,
        "url": f"{root}/api/v1/repos/{repo.full_name}",
        "link": "",
        "ssh_url": f"ssh://forge@example/{repo.full_name}.git",
        "clone_url": f"{url}.git",
        "original_url": "",
        "website": "",
        "stars_count": 0,
        "forks_count": 0,
        "watchers_count": 1,
        "open_issues_count": 0,
        "open_pr_counter": 0,
        "release_counter": 0,
        "default_branch": repo.default_branch,
        "archived": repo.archived,
        "created_at": moment(repo.created),
        "updated_at": moment(repo.created),
        "archived_at": moment(0),
        "permissions": rights,
        "has_issues": True,
        "internal_tracker": {
            "enable_time_tracker": True,
            "allow_only_contributors_to_track_time": True,
            "enable_issue_dependencies": True,
        },
        "has_wiki": True,
        "wiki_branch": "main",
        "has_pull_requests": True,
        "has_projects": True,
        "has_releases": True,
        "has_packages": False,
        "has_actions": repo.has_actions,
        "ignore_whitespace_conflicts": False,
        "allow_merge_commits": True,
        "allow_rebase": True,
        "allow_rebase_explicit": True,
        "allow_squash_merge": True,
        "allow_fast_forward_only_merge": True,
        "allow_rebase_update": True,
        "default_delete_branch_after_merge": False,
        "default_merge_style": "merge",
        "default_allow_maintainer_edit": False,
        "avatar_url": "",
        "internal": False,
        "mirror_interval": "",
        "object_format_name": "sha1",
        "mirror_updated": NEVER,
        "repo_transfer": None,
    }
    if version.number >= 9:
        result |= {"globally_editable_wiki": False, "default_update_style": "merge"}
        result["topics"] = [] if version.number >= 12 else None
    if version.number >= 15:
        result |= {"has_wiki_contents": False, "wiki_ssh_url": "", "wiki_clone_url": f"{url}.wiki.git"}
    return result


def task(task: Task, root: str) -> dict[str, Any]:
    run = task.job.run
    return {
        "id": task.id,
        "name": task.job.name,
        "head_branch": run.ref,
        "head_sha": run.sha,
        "run_number": run.index,
        "event": run.event,
        "display_title": run.title,
        "status": task.status.value,
        "workflow_id": run.workflow_id,
        "url": f"{root}/{run.repo.full_name}/actions/runs/{run.index}",
        "created_at": moment(task.started),
        "updated_at": moment(task.updated),
        "run_started_at": moment(task.started),
    }


def hook_name(event: str) -> str:
    """The API's name for a webhook's event; it has none for schedules and dispatches."""
    if event in ("schedule", "workflow_dispatch"):
        return ""
    names = {"pull_request_comment": "issue_comment", "pull_request_review_comment": "pull_request_comment"}
    families = {"issue_comment": "issue_comment", "issue": "issues", "pull_request": "pull_request"}
    if event in names or event.startswith("pull_request_review_"):
        reviews = {"pull_request_review_approved": "pull_request_approved"}
        reviews["pull_request_review_rejected"] = "pull_request_rejected"
        return names.get(event) or reviews.get(event, "pull_request")
    return next((name for start, name in families.items() if event.startswith(start)), event)


@cache
def event_payload(ref: str, sha: str, repo: str, text: str) -> str:
    """A webhook's payload, as JSON in a text."""
    payload: dict[str, Any] = {"ref": f"refs/heads/{ref}", "after": sha, "repository": {"full_name": repo}}
    if not text:
        return json.dumps(payload)
    return answers.large(json.dumps(payload | {"pull_request": {"body": text}}))


def run(world: People, run: Run, principal: Principal, root: str) -> dict[str, Any]:
    result = {
        "id": run.id,
        "title": run.title,
        "repository": repository(world, run.repo, principal, root),
        "workflow_id": run.workflow_id,
        "index_in_repo": run.index,
        "trigger_user": user(world, run.actor, root, principal.user),
        "ScheduleID": 1 if run.scheduled else 0,
        "prettyref": run.ref,
        "is_ref_deleted": run.ref in run.repo.deleted_branches,
        "commit_sha": run.sha,
        "is_fork_pull_request": False,
        "need_approval": False,
        "approved_by": 0,
        "event": hook_name(run.hook_event),
        "event_payload": event_payload(run.ref, run.sha, run.repo.full_name, run.event_text),
        "trigger_event": run.event,
        "status": run.status.value,
        "started": set_moment(world, run.started),
        "stopped": set_moment(world, run.stopped),
        "created": moment(run.created),
        "updated": moment(run.updated),
        "html_url": f"{root}/{run.repo.full_name}/actions/runs/{run.index}",
    }
    if seconds := run_seconds(world, run):
        result["duration"] = seconds * 1_000_000_000
    return result


def job(world: People, job: Job, root: str, with_steps: bool = False) -> dict[str, Any]:
    """Since v17 with its page, and alone with its steps, as soon as it has any."""
    attempt = max(job.attempt, 1)
    result = {
        "id": job.id,
        "run_id": job.run.id,
        "attempt": attempt,
        "handle": job.handle,
        "repo_id": job.run.repo.id,
        "owner_id": job.run.repo.owner.id,
        "name": job.name,
        "needs": list(job.spec.needs) or None,
        "runs_on": list(job.spec.runs_on),
        "task_id": job.task.id if job.task else 0,
        "status": job.status.value,
    }
    if world.version.native_rerun:
        page = f"{root}/{job.run.repo.full_name}/actions/runs/{job.run.index}"
        result["html_url"] = f"{page}/jobs/{job.index}/attempt/{attempt}"
    if with_steps and job.task:
        result["steps"] = [
            {
                "number": number,
                "name": step.name,
                "status": step.status.value,
                "started": set_moment(world, step.started),
                "stopped": set_moment(world, step.stopped),
            }
            for number, step in enumerate(all_steps(job.task, world.version))
        ]
    return result


def artifact(each: Artifact, root: str) -> dict[str, Any]:
    base = f"{root}/api/v1/repos/{each.run.repo.full_name}/actions/artifacts/{each.id}"
    return {
        "id": each.id,
        "name": each.name,
        "size_in_bytes": len(each.data),
        "archive_download_url": f"{base}/zip",
        "expired": each.expired,
        "run_id": each.run.id,
        "created_at": moment(each.created),
        "updated_at": moment(each.created),
        "expires_at": moment(each.created + 90 * 86400),
    }
