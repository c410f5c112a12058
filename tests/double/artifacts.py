"""The artifacts of a run: their list, and their download as each version does it."""

from __future__ import annotations

import io
import zipfile

from flask import Response, request

from tests.double import answers, view
from tests.double.context import Context
from tests.double.model import Artifact
from tests.double.web import RUN, find_run, number, only, pages, repository


@pages.get(f"{RUN}/artifacts")
def artifacts(owner: str, name: str, index: str) -> Response:
    _, repo = repository(owner, name)
    return answers.document(view.artifacts(find_run(repo, index)))


@pages.get(f"{RUN}/artifacts/<path:artifact>")
def artifact(owner: str, name: str, index: str, artifact: str) -> Response:
    """From v13 on `index` is the run's database id, and an artifact's id will do where no name is the same."""
    ctx, repo = repository(owner, name)
    raw = request.environ["double.path"].partition("/artifacts/")[2]
    only("/" not in raw)  # Forgejo takes paths apart before it decodes them
    if ctx.version.attempts:
        run = next((run for run in repo.runs if run.id == number(index)), None)
        if run is None:
            return answers.text(404, f"no such run {number(index)}" if number(index) else "zero is not a valid run ID")
    else:
        run = find_run(repo, index)
    found = [each for each in run.artifacts if each.name == artifact]
    if not found and ctx.version.attempts:
        if not number(artifact):
            return answers.text(404, f"runID {run.id}: artifact name not found: {artifact}")
        found = [each for each in run.artifacts if each.id == number(artifact)]
        if not found:
            return answers.text(404, f"runID {run.id}: artifact ID not found: {artifact}")
    if not found or any(each.expired for each in found):
        return answers.text(404, "artifact not found")
    return _download(ctx, found[0])


def _download(ctx: Context, artifact: Artifact) -> Response:
    if artifact.v3:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("file", artifact.data)
        return answers.unsized(f"{artifact.name}.zip", buffer.getvalue(), "application/zip")
    if ctx.settings.SERVE_DIRECT:
        path = f"/bucket/artifacts/{artifact.run.id % 256:02x}/{artifact.id}.zip"
        return answers.redirect(
            f"{ctx.settings.SERVE_DIRECT}{path}?X-Amz-Expires=300&X-Amz-Signature={artifact.id:064x}"
        )
    if not ctx.version.artifact_ranges:
        return answers.unsized(f"{artifact.name}.zip", artifact.data, None)
    file = f"{artifact.name}.zip" if ctx.version.artifact_files_are_zip else artifact.name
    return answers.zip_file(artifact.data, file, request.headers.get("Range", ""))


@pages.delete(f"{RUN}/artifacts/<artifact>")
def delete_artifact(owner: str, name: str, index: str, artifact: str) -> Response:
    _, repo = repository(owner, name, "write")
    run = find_run(repo, index)
    run.artifacts[:] = [each for each in run.artifacts if each.name != artifact]
    return answers.document({})
