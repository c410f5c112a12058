"""Repositories over git's smart HTTP, by git's own backend, and what a push sets in motion."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from flask import Blueprint, Response, request

from tests.double import answers
from tests.double.context import context
from tests.double.model import Repo
from tests.double.permissions import allowed, sees

routes = Blueprint("git", __name__)
SERVICE = re.compile(r"/[^/]+/[^/]+\.git/(info/refs|git-(upload|receive)-pack)")
FIRST_FILES = {
    "README.md": "# The demo's repository\n\nWhatever is pushed here gets a run, whose test fails the first time.\n",
    ".forgejo/workflows/ci.yml": "on: push\njobs:\n  build:\n    runs-on: docker\n    steps: [{run: make}]\n",
}


def is_service(path: str) -> bool:
    """Whether it is one of git's paths: they know no cookies and no forms."""
    return SERVICE.fullmatch(path) is not None


def make(folder: Path) -> None:
    """A bare repository with a first commit on main."""
    _git(folder.parent, "init", "--quiet", "--bare", "--initial-branch=main", str(folder))
    stream = ["commit refs/heads/main", "committer demo <demo@demo.example> now", *_data("Begin")]
    for name, text in FIRST_FILES.items():
        stream += [f"M 644 inline {name}", *_data(text)]
    _git(folder, "fast-import", "--quiet", "--date-format=now", feed="\n".join(stream).encode())


@routes.route("/<owner>/<name>.git/<path:tail>", methods=["GET", "POST"])
def service(owner: str, name: str, tail: str) -> Response:
    """Asks for a name and a token where the caller may not, as browsers and git expect it."""
    ctx = context()
    repo, who = ctx.world.find_repo(owner, name), ctx.principal
    writes = "git-receive-pack" in (tail, request.args.get("service"))
    if repo is None or repo.git is None or not sees(ctx.version, who, repo):
        return answers.text(404, "Not found.") if who.user else _unauthorized()
    if writes and not allowed(ctx.version, who, repo, "repo.code", "write"):
        return answers.text(403, "Forbidden.") if who.user else _unauthorized()
    before = _branches(repo)
    answer = _backend(repo, tail, who.user.name if who.user else "")
    for branch, commit in _branches(repo).items() if writes else ():
        if before.get(branch) != commit and who.user:
            subject = _git(repo.git.folder, "log", "-1", "--format=%s", commit).decode().strip()
            repo.git.pushed(who.user, branch, commit, subject)
    return answer


def _backend(repo: Repo, tail: str, user: str) -> Response:
    assert repo.git is not None
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(repo.git.folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{tail}",
        "QUERY_STRING": request.query_string.decode(),
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(request.get_data())),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": user,
    }
    done = subprocess.run(
        ["git", "http-backend"], input=request.get_data(), env=environment, capture_output=True, check=True
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    return Response(body, int(headers.pop("Status", "200").split()[0]), headers)


def _branches(repo: Repo) -> dict[str, str]:
    """Commits by branch."""
    assert repo.git is not None
    lines = _git(repo.git.folder, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
    return dict(line.rsplit(" ", 1) for line in lines.decode().splitlines())


def _git(folder: Path, *words: str, feed: bytes = b"") -> bytes:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        ["git", *words], cwd=folder, input=feed, env=environment, capture_output=True, check=True
    ).stdout


def _data(text: str) -> list[str]:
    return [f"data {len(text.encode())}", text]


def _unauthorized() -> Response:
    answer = answers.text(401, "Unauthorized")
    answer.headers["WWW-Authenticate"] = 'Basic realm="Gitea"'
    return answer
