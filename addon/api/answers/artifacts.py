"""Responses about artifacts: the list, and the zip of one, with Range or as a redirect to Forgejo's storage."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

from werkzeug.wrappers import Response

from addon.actions.artifacts import ReadArtifacts
from addon.actions.logs.lines import first_block_read
from addon.actions.query import Query
from addon.api import request
from addon.api.links import Links
from addon.api.paging import with_pages
from addon.api.responses import Json, as_json, run_header, unsatisfiable
from addon.caller import Caller
from addon.model import Artifact, Run

ZIP = "application/zip"


def artifacts(use_case: ReadArtifacts, query: Query, caller: Caller) -> Response:
    """The list of a run's artifacts."""
    run, found = use_case.list(query, caller)
    listed = artifact_list(run, query.of_page(found), request.links())
    return with_pages(as_json({"total_count": len(found), "artifacts": listed}, run=run), query, len(found))


def artifact(use_case: ReadArtifacts, query: Query, caller: Caller) -> Response:
    """One artifact's zip."""
    run, found = use_case.open(query, caller, request.method(), request.range_header())
    headers = {**found.headers, **run_header(run)}
    if found.status == 416:
        return unsatisfiable(found.headers, headers)
    if found.location is not None:
        headers["Location"] = found.location
    if found.body is None:
        return Response(None, found.status, headers, content_type=ZIP)
    headers["Content-Disposition"] = f"attachment; {zip_name(query.artifact or '')}"
    try:
        body = first_block_read(iter(found.body)) if not request.is_head() else iter(())
    except BaseException:
        found.body.close()
        raise
    response = Response(body, found.status, headers, content_type=ZIP)
    response.call_on_close(found.body.close)
    return response


def artifact_list(run: Run, found: Iterable[Artifact], links: Links) -> list[Json]:
    """Artifacts, each with its download URL until it expires."""
    return [
        {
            "name": each.name,
            "size_in_bytes": each.size,
            "status": each.status,
            "expired": each.expired,
            "archive_download_url": None if each.expired else _download_url(run, each, links),
        }
        for each in found
    ]


def zip_name(artifact: str) -> str:
    """The file name for Content-Disposition, in ASCII and in UTF-8, without slashes, controls and invisible marks."""
    safe = "".join("_" if each in '/\\"' or unicodedata.category(each)[0] == "C" else each for each in artifact)
    name = safe if safe.lower().endswith(".zip") else f"{safe}.zip"
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _download_url(run: Run, artifact: Artifact, links: Links) -> str | None:
    """None for the two names that no URL can contain."""
    if artifact.name in (".", ".."):
        return None
    return links.api(run, f"/artifacts/{quote(artifact.name, safe='', errors='replace')}")
