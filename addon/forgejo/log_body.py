"""The body of a log's download, which survives that Forgejo breaks it off.

When a job ends, Forgejo moves its log. A download that is under way can then fail in the middle. Forgejo appends its
HTML error page to the bytes that it has sent, and ends the body before the announced length. The bytes don't show
where the log ends and the page begins. So the newest part of the body is held back until more of it has arrived. If the
body ends early, that part is dropped, and the log is read on from there.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from addon.errors import ApiError, UpstreamUnexpected
from addon.forgejo.transport import StreamedResponse

# How many bytes are held back. Forgejo's error page has some 10 kB.
HELD_BACK = 256 * 1024
ERROR_PAGE = b"<!DOCTYPE html>"
# How often a body is read on without progress.
TRIES = 3
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
# Forgejo names a log's file after the workflow, the job and the task (one attempt of the job).
TASK = re.compile(r'filename="[^"]*-([0-9]+)\.log"')

# Opens the log's bytes from the first position to the second, both included. Returns None if there is no such part.
OpenPart = Callable[[int, int], StreamedResponse | None]


def task_in(headers: Mapping[str, str]) -> str:
    """The id of the task in the name of the log's file; empty if it has none."""
    found = TASK.search(headers.get("content-disposition", ""))
    return found[1] if found else ""


class LogBody:
    """A log's bytes. Iterate over them once, or close it."""

    def __init__(self, response: StreamedResponse, open_part: OpenPart) -> None:
        self._response = response
        self._open_part = open_part
        self._task = task_in(response.headers)
        self._doubtful = b""

    def __iter__(self) -> Iterator[bytes]:
        """The announced bytes, and no others. Raises UpstreamUnexpected when they can't be had."""
        length = self._response.headers.get("content-length", "")
        if not length.isdecimal():
            raise UpstreamUnexpected("Forgejo sends a log and doesn't say how long it is")
        match = CONTENT_RANGE.fullmatch(self._response.headers.get("content-range", ""))
        place = int(match[1]) if match else 0
        end = place + int(length)
        tries = TRIES
        while True:
            before = place
            try:
                for chunk in self._verified():
                    place += len(chunk)
                    yield chunk
                if place == end:
                    return
                raise UpstreamUnexpected("Forgejo's log is longer than it said")
            except ApiError:
                tries = TRIES if place > before else tries - 1
                if not tries:
                    raise
            self._response = self._reopened(place, end)

    def close(self) -> None:
        """Ends the exchange, also in the middle of the body."""
        self._response.close()

    def _verified(self) -> Iterator[bytes]:
        """The present response's bytes. The last ones are handed out only if the body ends as it was announced.

        The error page can by chance fill the body to the announced length. So a last part with such a page is read
        twice: if it is the same again, the page is in the log.
        """
        held: deque[bytes] = deque()
        size = 0
        for chunk in self._response:
            held.append(chunk)
            size += len(chunk)
            while size - len(held[0]) >= HELD_BACK:
                size -= len(held[0])
                yield held.popleft()
        last = b"".join(held)
        if ERROR_PAGE in last and last != self._doubtful:
            self._doubtful = last
            raise UpstreamUnexpected("Forgejo's log ends with an error page")
        yield last

    def _reopened(self, start: int, end: int) -> StreamedResponse:
        """The rest of the log. Raises UpstreamUnexpected if Forgejo does not send just that."""
        response = self._open_part(start, end - 1)
        if response is None:
            raise UpstreamUnexpected("Forgejo's log broke off and can't be read on")
        same_part = response.headers.get("content-range", "").startswith(f"bytes {start}-{end - 1}/")
        if not same_part or task_in(response.headers) != self._task:
            response.close()
            raise UpstreamUnexpected("Forgejo's log broke off, and Forgejo sends another part of it now")
        return response
