"""What the responses of the dialect by id share."""

from __future__ import annotations

import json
from collections.abc import Iterable

from werkzeug.wrappers import Response

# The fields that this Forgejo can't tell, as names with commas.
UNKNOWN_HEADER = "X-Actions-Unknown-Fields"


def as_json(value: object, status: int = 200, unknown: Iterable[str] = ()) -> Response:
    """JSON as Forgejo writes it. `unknown` are the fields whose values mean nothing."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    response = Response(text.encode("utf-8", "replace"), status, content_type="application/json;charset=utf-8")
    if names := ", ".join(unknown):
        response.headers[UNKNOWN_HEADER] = names
    return response
