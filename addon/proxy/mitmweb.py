"""What mitmweb shows of an extension request: the client's URL, a comment, the trace, and the start of the body.

A flow is changed only after its bytes were sent. mitmweb keeps a limited number of finished flows.
"""

from __future__ import annotations

from collections import deque

from mitmproxy import ctx, http
from mitmproxy.addons.view import View
from mitmproxy.net.http import url

from addon.internal_headers import ARRIVED_HEADER, SECRET_HEADER, TRACE_HEADER
from addon.proxy import content_view

# mitmweb's marks: answered by the extension, and passed to Forgejo although the extension has such a path.
MARK, PASSED_MARK = ":rocket:", ":arrow_right:"
TAKEN = "actions-extension-taken"
# How many bytes of a body are kept for mitmweb.
MOST_SHOWN = 64 * 1024


def is_shown() -> bool:
    """Whether flows are shown in mitmweb or saved to a file."""
    return _view() is not None or bool(getattr(ctx.options, "save_stream_file", None))


def begin(flow: http.HTTPFlow, shown: bool) -> None:
    """Marks a flow before it is sent to the application. If flows are shown, its trace is requested."""
    flow.marked = MARK
    flow.metadata[TAKEN] = True
    flow.comment = "answered by the Actions extension"
    flow.request.headers.pop(TRACE_HEADER, None)
    if shown:
        flow.request.headers[TRACE_HEADER] = "wanted"


def is_taken(flow: http.HTTPFlow) -> bool:
    """Whether the flow was sent to the application. (Anybody can change the mark in mitmweb.)"""
    return TAKEN in flow.metadata


def answered(flow: http.HTTPFlow) -> None:
    """Takes the trace out of the application's response, whose head has not been sent yet."""
    assert flow.response is not None  # noqa: S101
    record = flow.response.headers.pop(TRACE_HEADER, None)
    trace = content_view.parsed(record) if record is not None else None
    if trace is not None:
        flow.comment = content_view.summary(trace)
        flow.metadata[content_view.TRACE] = trace
        flow.response.stream = Preview() if _view() is not None else True
    restore(flow)


def ended(flow: http.HTTPFlow) -> None:
    """Gives the sent response the start of its body, for mitmweb."""
    if flow.response is not None and isinstance(flow.response.stream, Preview):
        preview = flow.response.stream
        flow.metadata[content_view.SIZE] = preview.size
        flow.response.raw_content = bytes(preview.start)


class Preview:
    """Passes a streamed body on unchanged, and keeps its start."""

    def __init__(self) -> None:
        self.start = bytearray()
        self.size = 0

    def __call__(self, data: bytes) -> bytes:
        """Called for each part of the body."""
        self.size += len(data)
        self.start += data[: MOST_SHOWN - len(self.start)]
        return data


def restore(flow: http.HTTPFlow) -> None:
    """Restores the client's URL of a sent request, and removes the headers for the application."""
    request, hosts = flow.request, flow.request.headers.get_all("Host")
    for name in (SECRET_HEADER, ARRIVED_HEADER, TRACE_HEADER):
        request.headers.pop(name, None)
    request.scheme = "https" if request.headers.get("X-Forwarded-Proto", "").lower() == "https" else "http"
    host, port = _authority(hosts[0]) if hosts else flow.client_conn.sockname[:2]
    request.host, request.port = host, port or (443 if request.scheme == "https" else 80)
    request.headers.set_all("Host", hosts)  # setting the host has changed it


def _authority(host: str) -> tuple[str, int | None]:
    return url.parse_authority(host, check=False)


class FlowLimit:
    """Limits the finished flows that mitmweb keeps. Open ones are neither counted nor ended."""

    def __init__(self) -> None:
        self._finished: deque[http.HTTPFlow] = deque()

    def finished(self, flow: http.HTTPFlow, most: int) -> None:
        """Notes that a flow has ended, and removes the oldest. Without mitmweb there is nothing to remove."""
        view = _view()
        if view is None:
            return
        self._finished.append(flow)
        while len(self._finished) > most:
            oldest = self._finished.popleft()
            if oldest.killable:  # it is still being sent; removing it would end it
                self._finished.append(oldest)
                break
            view.remove([oldest])


def _view() -> View | None:
    return ctx.master.addons.get("view")  # type: ignore[no-untyped-call, no-any-return]
