"""Several jobs' logs in one answer: text with a header line before each, or a zip made as it is sent."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from addon.actions.logs import lines
from addon.model import Job, Run, Status

# Characters that can't be in a file's name on some system, or would lead elsewhere.
UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]')
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
MOST_NAME = 100
COMPRESSION_LEVEL = 1  # text shrinks well, and the machine has other things to do


@dataclass(frozen=True, slots=True)
class JobLog:
    """One job's log, or in `missing` why there is none. `attempt` is None where a version doesn't say."""

    job: Job
    total: int
    attempt: int | None
    blocks: Iterator[bytes]
    missing: str | None = None


def mark(job: Job, words: str, total: int | None = None) -> bytes:
    """A line that stands out in a log: `==> build (1/3) · failure <==`."""
    place = f" ({job.index + 1}/{total})" if total is not None else f" ({job.index})"
    return f"==> {UNSEEN.sub('\N{REPLACEMENT CHARACTER}', job.name)}{place} · {words} <==\n".encode()


def header(log: JobLog) -> bytes:
    """The line before a job's log."""
    status = str(log.job.status)
    return mark(log.job, status if (log.attempt or 1) == 1 else f"{status} · attempt {log.attempt}", log.total)


def as_text(logs: Iterable[JobLog]) -> Iterator[bytes]:
    """All logs, one after the other, with an empty line between them."""
    between = b""
    for log in logs:
        yield between + header(log)
        if log.missing is None:
            yield from lines.ended(log.blocks)
        else:
            yield f"({log.missing})\n".encode(errors="replace")
        between = b"\n"


def as_zip(logs: Iterable[JobLog]) -> Iterator[bytes]:
    """A zip whose files are `0-build.log`; of a job without a log `1-test.missing.txt` says why."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for log in logs:
            name = f"{log.job.index}-{UNSAFE.sub('_', log.job.name)[:MOST_NAME]}"
            if log.missing is not None:
                archive.writestr(f"{name}.missing.txt", f"{log.missing}\n".encode(errors="replace"))
                continue
            with archive.open(f"{name}.log", "w", force_zip64=True) as file:
                for block in log.blocks:
                    file.write(block)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


def indexes(run: Run, failed: bool) -> list[int]:
    """The jobs meant by `all` or `failed`."""
    return [job.index for job in run.jobs if not failed or job.status is Status.FAILURE]


class _Sink(io.RawIOBase):
    """What a zip is written to: it can't be gone back in, so the zip says each size after the file."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
