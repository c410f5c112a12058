"""Several jobs' logs in one response: text with a header line before each log, or a zip."""

from __future__ import annotations

import io
import itertools
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from addon.actions.logs import lines
from addon.actions.logs.read_logs import JobLog
from addon.model import Job, Run

# Characters that a file's name can't have on some system, or that would lead to another folder.
UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]')
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")
# The first time that a zip can state.
EARLIEST = (1980, 1, 1, 0, 0, 0)
MOST_NAME = 100
COMPRESSION_LEVEL = 1  # text compresses well, and the lowest level costs the least CPU


MARK = b"==> "


def mark(job: Job, words: str) -> bytes:
    """A line that stands out in a log: `==> build (0) · failure <==`. The number is the job's index."""
    return _mark(f"{UNSEEN.sub('\N{REPLACEMENT CHARACTER}', job.name)} ({job.index})", words)


def run_mark(run: Run, words: str) -> bytes:
    """The same for a run: `==> run 5 · failure <==`."""
    return _mark(f"run {run.number}", words)


def _mark(what: str, words: str) -> bytes:
    return MARK + f"{what} · {UNSEEN.sub('\N{REPLACEMENT CHARACTER}', words)} <==\n".encode(errors="replace")


def guarded(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of a log, none of which can be taken for ours: one that begins like it gets a space before it.

    Without times, the author of a log decides how a line begins.
    """
    for block in blocks:
        yield b" " * block.startswith(MARK) + block.replace(b"\n" + MARK, b"\n " + MARK)


def header(log: JobLog) -> bytes:
    """The header line of a job's log."""
    status = str(log.job.status)
    return mark(log.job, status if (log.attempt or 1) == 1 else f"{status} · attempt {log.attempt}")


def as_text(logs: Iterable[JobLog], none: str) -> Iterator[bytes]:
    """All logs, one after the other, with an empty line between. Without any, the message `none`."""
    between = b""
    for log in logs:
        yield between + header(log)
        if log.missing is None:
            yield from lines.with_final_newline(guarded(log.blocks))
        else:
            yield _note(log.missing)
        between = b"\n"
    if not between:
        yield _note(none)


def as_zip(logs: Iterable[JobLog], none: str) -> Iterator[bytes]:
    """A zip with files such as `0-build.log` and `1-test.attempt-2.log`, each with the time of the log's first line.

    For a job without a log, `2-lint.missing.txt` says why. Without any job, `no-logs.txt` has the message `none`.
    """
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for log in logs:
            name = f"{log.job.index}-{UNSAFE.sub('_', log.job.name)[:MOST_NAME]}"
            if (log.attempt or 1) > 1:
                name += f".attempt-{log.attempt}"
            if log.missing is not None:
                archive.writestr(f"{name}.missing.txt", _note(log.missing))
                continue
            blocks = iter(log.blocks)
            first = next(blocks, b"")
            with archive.open(_entry(f"{name}.log", first, log.started_at), "w", force_zip64=True) as file:
                for block in itertools.chain((first,), blocks):
                    file.write(block)
                    yield sink.taken()
            yield sink.taken()
        if not archive.filelist:
            archive.writestr("no-logs.txt", _note(none))
    yield sink.taken()


def _note(text: str) -> bytes:
    return f"({text})\n".encode(errors="replace")


def _entry(name: str, first: bytes, started_at: datetime | None) -> zipfile.ZipInfo:
    """A file of a zip. Its time is in UTC: that of the log's first line, or of the attempt's start."""
    moment = started_at or datetime.now(UTC)
    if match := TIME.match(first):
        with suppress(ValueError):
            moment = datetime.fromisoformat(match[0].decode())
    entry = zipfile.ZipInfo(name, max(moment.timetuple()[:6], EARLIEST))
    entry.compress_type = zipfile.ZIP_DEFLATED
    if sys.version_info >= (3, 13):  # Python 3.12 compresses more, and slower
        entry.compress_level = COMPRESSION_LEVEL
    return entry


class Sink(io.RawIOBase):
    """The file that a zip is written to. It can't be rewound, so the zip states each size after the file."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """The bytes written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
