"""Responses with a run's artifacts: Forgejo's object ActionArtifact, as far as the web UI shows it."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from werkzeug.wrappers import Response

from addon.actions.by_id.artifacts import ArtifactsOfRun
from addon.api import request
from addon.api.native.numbers import number_or_zero
from addon.api.native.paths import ByIdRequest
from addon.api.native.responses import as_json
from addon.api.responses import Json
from addon.model import Artifact, Run

NEVER_TOLD = ("id", "created_at", "updated_at", "expires_at")
# Forgejo's page sizes.
USUAL, MOST = 30, 50


def of_run(found: ArtifactsOfRun, asked: ByIdRequest) -> Response:
    """A page of the run's artifacts: a bare array, with the total in a header."""
    name = asked.parameters.get("name", "")
    artifacts = [each for each in found.artifacts if name in ("", each.name)]
    page, limit = _page(asked)
    shown = artifacts[(page - 1) * limit : page * limit]
    run = found.run
    response = as_json([_artifact(found, run, each) for each in shown] if run else [], unknown=NEVER_TOLD)
    response.headers["X-Total-Count"] = str(len(artifacts))
    if link := _link(asked, page, limit, len(artifacts)):
        response.headers["Link"] = link
    return response


def _artifact(found: ArtifactsOfRun, run: Run, artifact: Artifact) -> Json:
    """The download's URL is the extension's, because Forgejo has none before v16."""
    return {
        "id": None,
        "name": artifact.name,
        "size_in_bytes": artifact.size,
        "archive_download_url": request.links().api(run, f"/artifacts/{quote(artifact.name, safe='')}"),
        "expired": artifact.expired,
        "run_id": found.ids.id,
        "created_at": None,
        "updated_at": None,
        "expires_at": None,
    }


def _page(asked: ByIdRequest) -> tuple[int, int]:
    page, limit = (number_or_zero(asked.parameters.get(name, "")) for name in ("page", "limit"))
    return max(page, 1), min(limit, MOST) if limit > 0 else USUAL


def _link(asked: ByIdRequest, page: int, limit: int, total: int) -> str:
    """The other pages, as Forgejo's lists name them. The caller's credentials are left out."""
    last = -(-total // limit)
    places = {"next": page + 1, "last": last} if page < last else {}
    places |= {"first": 1, "prev": page - 1} if page > 1 else {}
    name = {"name": asked.parameters["name"]} if asked.parameters.get("name") else {}
    url = f"{request.links().base}{request.current().path}"
    return ",".join(
        f'<{url}?{urlencode({**name, "limit": limit, "page": number})}>; rel="{place}"'
        for place, number in places.items()
    )
