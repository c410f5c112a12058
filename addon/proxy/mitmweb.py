"""What mitmweb shows of an extension request: the URL that the client asked for, a comment, a small JSON body.

A flow is changed only when its bytes have been sent. mitmweb keeps so many finished flows, and no more.
"""

from __future__ import annotations

import json
from collections import deque

from mitmproxy import ctx, http
from mitmproxy.addons.view import View
from mitmproxy.net.http import url

SECRET_HEADER = "X-Actions-Secret"
ARRIVED_HEADER = "X-Actions-Arrived"
TRACE_HEADER = "X-Actions-Trace"
# mitmweb's marks: answered by the extension, and passed on though the path could be its.
MARK, PASSED_MARK = ":rocket:", ":arrow_right:"
TAKEN = "actions-extension-taken"
# JSON bodies up to this size, in bytes, are kept for mitmweb to show; everything else is streamed and forgotten.
MOST_SHOWN = 256 * 1024


def wanted() -> bool:
    """Whether anybody will see the flows: mitmweb, or a file that they are saved to."""
    return _view() is not None or bool(getattr(ctx.options, "save_stream_file", None))


def begin(flow: http.HTTPFlow, shown: bool) -> None:
    """Before the request is sent to the application: asks for its record, if flows are seen by anybody."""
    flow.marked = MARK
    flow.metadata[TAKEN] = True
    flow.comment = "answered by the Actions extension"
    flow.request.headers.pop(TRACE_HEADER, None)
    if shown:
        flow.request.headers[TRACE_HEADER] = "wanted"


def is_taken(flow: http.HTTPFlow) -> bool:
    """Whether it went to the application. The mark won't tell: anybody can change it in mitmweb."""
    return TAKEN in flow.metadata


def answered(flow: http.HTTPFlow) -> None:
    """When the application's answer begins: the request has been sent, the answer's head has not."""
    assert flow.response is not None  # noqa: S101
    record = flow.response.headers.pop(TRACE_HEADER, None)
    if record is not None:
        flow.comment = comment(record)
        flow.response.stream = not _is_small_json(flow.response)
    restore(flow)


def restore(flow: http.HTTPFlow) -> None:
    """Gives a sent request the URL that the client asked for, and takes off what was added for the application."""
    request, hosts = flow.request, flow.request.headers.get_all("Host")
    for name in (SECRET_HEADER, ARRIVED_HEADER, TRACE_HEADER):
        request.headers.pop(name, None)
    request.scheme = "https" if request.headers.get("X-Forwarded-Proto", "").lower() == "https" else "http"
    host, port = _authority(hosts[0]) if hosts else flow.client_conn.sockname[:2]
    request.host, request.port = host, port or (443 if request.scheme == "https" else 80)
    request.headers.set_all("Host", hosts)  # which setting the host has changed


def _authority(host: str) -> tuple[str, int | None]:
    return url.parse_authority(host, check=False)


def comment(record: str) -> str:
    """The application's record of a request, as lines."""
    try:
        told = json.loads(record)
        rows = [
            f"• {by} {method} {target} → {status or 'no answer'} {ms:.0f} ms"  # mitmweb shows it all as one line
            for by, method, target, status, ms in told["forgejo"]
        ]
        more = [f"… and {told['more']} more"] if told["more"] else []
        access = told["access"] or "not asked"
        return "\n".join([f"{told['asked'] or 'no request for a run'}, access {access}", *rows, *more])
    except (ValueError, KeyError, TypeError):
        return "answered by the Actions extension"


class Bound:
    """So many finished flows are kept by mitmweb; those under way are not counted, and never ended."""

    def __init__(self) -> None:
        self._finished: deque[http.HTTPFlow] = deque()

    def finished(self, flow: http.HTTPFlow, most: int) -> None:
        """Notes that a flow has ended, and lets the oldest go. Without mitmweb nothing is kept anyway."""
        view = _view()
        if view is None:
            return
        self._finished.append(flow)
        while len(self._finished) > most:
            oldest = self._finished.popleft()
            if oldest.killable:  # still being sent; removing it would end it
                self._finished.append(oldest)
                break
            view.remove([oldest])


def _view() -> View | None:
    return ctx.master.addons.get("view")  # type: ignore[no-untyped-call, no-any-return]


def _is_small_json(response: http.Response) -> bool:
    length = response.headers.get("Content-Length", "")
    small = length.isdecimal() and int(length) <= MOST_SHOWN
    return small and response.headers.get("Content-Type", "").startswith("application/json")
