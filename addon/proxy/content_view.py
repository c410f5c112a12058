"""What mitmweb shows on the Response tab of an extension request: the trace as a small table, then the body."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mitmproxy import http
from mitmproxy.contentviews import Contentview, Metadata

# Keys of a flow's metadata: the application's trace of the request, and the size of a body of which only the start
# was kept.
TRACE, SIZE = "actions-extension-trace", "actions-extension-size"


class ActionsContentview(Contentview):
    """The view that mitmweb chooses for responses with a trace."""

    name = "Actions request"

    def prettify(self, data: bytes, metadata: Metadata) -> str:
        """Trace and body as text."""
        trace = _trace(metadata)
        if trace is None:
            raise ValueError("no trace of the Actions extension")
        size = metadata.flow.metadata.get(SIZE, len(data)) if metadata.flow else len(data)
        return "\n".join([*table(trace), "", *_body(data, size, metadata.content_type)])

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        """Above all other views for the response of an extension request, else below them."""
        is_response = isinstance(metadata.http_message, http.Response)
        return 10 if is_response and _trace(metadata) is not None else -1


def summary(trace: Mapping[str, Any]) -> str:
    """A trace in one line, for the flow's comment."""
    count = len(trace["forgejo"]) + trace["more"]
    access = f"access {trace['access'] or 'not checked'}"
    took = sum(row[4] for row in trace["forgejo"])
    return f"{trace['asked'] or 'no run'} · {access} · {count} requests to Forgejo, {took:.0f} ms"


def table(trace: Mapping[str, Any]) -> Iterator[str]:
    """A trace as lines: the request, Forgejo's decision, and each request to Forgejo."""
    yield f"request  {trace['asked'] or 'not about a run'}"
    yield f"access   {trace['access'] or 'not checked'}"
    rows: Sequence[Sequence[Any]] = trace["forgejo"]
    if rows:
        yield ""
        yield "    ms  status  with     request to Forgejo"
    for who, method, target, status, milliseconds in rows:
        yield f"{milliseconds:6.0f}  {status or '-':<6}  {who:<7}  {method} {target}"
    if trace["more"]:
        yield f"        … and {trace['more']} more"


def parsed(record: str) -> Mapping[str, Any] | None:
    """A trace from the application's header; None if it is malformed."""
    try:
        trace = json.loads(record)
        list(table(trace))
        summary(trace)
    except (ValueError, KeyError, TypeError):
        return None
    return trace if isinstance(trace, dict) else None


def _trace(metadata: Metadata) -> Mapping[str, Any] | None:
    found = metadata.flow.metadata.get(TRACE) if metadata.flow is not None else None
    return found if isinstance(found, dict) else None


def _body(data: bytes, size: int, content_type: str | None) -> Iterator[str]:
    complete = len(data) == size
    yield f"body, {size:,} bytes" + ("" if complete else f", the first {len(data):,} of them") + ":"
    yield ""
    text = data.decode("utf-8", "replace")
    if complete and content_type == "application/json":
        with contextlib.suppress(ValueError):  # malformed JSON is shown unchanged
            text = json.dumps(json.loads(data), indent=2, ensure_ascii=False)
    yield text
