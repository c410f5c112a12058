"""Responses with logs by id: one job's log with its filters and Range, and a run's logs as a zip."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Generator, Iterator

from werkzeug.wrappers import Response

from addon.actions.by_id import lines
from addon.actions.by_id.finder import FoundJob
from addon.actions.by_id.logs import LogOfJob, LogsById
from addon.actions.logs.lines import first_block_read
from addon.api import request
from addon.api.native.numbers import number_or_zero
from addon.api.native.paths import ByIdRequest
from addon.api.text.bundle import COMPRESSION_LEVEL, Sink
from addon.caller import Caller
from addon.errors import UpstreamTimeout, UpstreamUnexpected

TEXT, NDJSON = "text/plain; charset=utf-8", "application/x-ndjson"
UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\\ud800-\udfff]")
# The words that Forgejo reads as true.
TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True", "on"})
# A step's log up to this size is read whole, so that it has a length and takes Range.
MOST_KEPT = 1 << 20
RANGE = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))")


def of_job(use_case: LogsById, asked: ByIdRequest, caller: Caller) -> Response:
    """The log that the parameters ask for. An empty parameter is as good as none."""
    parameters = asked.parameters
    attempt = _number(parameters.get("attempt", ""))
    step = _number(parameters.get("step", ""))
    text, ndjson = parameters.get("q", ""), parameters.get("format") == "ndjson"
    found = use_case.job(caller, asked.repo, asked.id, attempt)
    if text or ndjson:
        blocks = use_case.blocks(found, step)
        if text:
            blocks = lines.containing(blocks, text, parameters.get("qi") in TRUE)
        if ndjson:
            blocks = lines.as_ndjson(blocks)
        headers = {"Content-Disposition": f'inline; filename="{_file_name(found, step)}"'}
        return _streamed(first_block_read(blocks), NDJSON if ndjson else TEXT, headers)
    if step is not None:
        return _step(use_case.blocks(found, step))
    return _whole(use_case, found)


def of_run(use_case: LogsById, asked: ByIdRequest, caller: Caller) -> Response:
    """A zip with the newest log of each job."""
    blocks = first_block_read(_zip(use_case.all(caller, asked.repo, asked.id)))
    headers = {"Content-Disposition": f'attachment; filename="run-{asked.id}-logs.zip"'}
    return _streamed(blocks, "application/zip", headers)


def _zip(logs: Iterator[LogOfJob]) -> Iterator[bytes]:
    """Forgejo names a file after job and attempt. A missing log, or one that broke off, has a file that says why."""
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for log in logs:
            name = f"{_entry_name(log.job.name)}-{log.job.id}-attempt-{log.attempt or 0}"
            if log.missing is not None:
                archive.writestr(f"{name}.MISSING", f"{log.missing}\n")
                continue
            try:
                with archive.open(f"{name}.log", "w", force_zip64=True) as file:
                    for block in log.blocks:
                        file.write(block)
                        yield sink.taken()
            except (UpstreamUnexpected, UpstreamTimeout) as error:
                archive.writestr(f"{name}.PARTIAL", f"log read failed mid-stream: {error.message}\n")
            yield sink.taken()
    yield sink.taken()


def _entry_name(job: str) -> str:
    return UNSAFE.sub("", job).strip() or "job"


def _whole(use_case: LogsById, found: FoundJob) -> Response:
    log = use_case.whole(found, request.range_header())
    headers = {name: text for name, text in log.headers.items() if name != "content-disposition"}
    if log.body is None:
        return _unsatisfied(headers.get("content-range", ""))
    response = Response(first_block_read(iter(log.body)), log.status, headers, content_type=TEXT)
    response.call_on_close(log.body.close)
    return response


def _step(blocks: Iterator[bytes]) -> Response:
    """A step's log. A larger one is sent without a length, and a Range of it is ignored, as HTTP allows."""
    kept = bytearray()
    for block in blocks:
        kept += block
        if len(kept) > MOST_KEPT:
            return _streamed(_continued(bytes(kept), blocks), TEXT, {})
    return _part(bytes(kept))


def _part(data: bytes) -> Response:
    headers = {"Accept-Ranges": "bytes"}
    wanted = RANGE.fullmatch(request.headers().get("Range", ""))
    if wanted is None or not data:
        return Response(data, 200, headers, content_type=TEXT)
    size = len(data)
    if wanted[3] is not None:
        start, stop = max(size - int(wanted[3]), 0), size
    else:
        start, stop = int(wanted[1]), min(int(wanted[2] or size) + 1, size)
    if start >= stop:
        return _unsatisfied(f"bytes */{size}")
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(data[start:stop], 206, headers, content_type=TEXT)


def _unsatisfied(content_range: str) -> Response:
    return Response("invalid range: failed to overlap\n", 416, {"Content-Range": content_range}, content_type=TEXT)


def _streamed(blocks: Generator[bytes, None, None], content_type: str, headers: dict[str, str]) -> Response:
    """A body of unknown length."""
    response = Response(blocks, 200, headers, content_type=content_type)
    response.call_on_close(blocks.close)
    return response


def _continued(first: bytes, rest: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield first
    yield from rest


def _number(text: str) -> int | None:
    return number_or_zero(text) if text else None


def _file_name(found: FoundJob, step: int | None) -> str:
    of_step = "" if step is None else f"-step-{step}"
    return f"job-{found.job.id}-attempt-{found.run.detail.attempt or 0}{of_step}.log"
