"""Pages of lists: the headers `Link` and `X-Total-Count`, as Forgejo's own lists have them."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from werkzeug.wrappers import Response

from addon.actions.query import PAGE_SIZE, Query
from addon.api import request
from addon.caller import PARAMETERS as CREDENTIALS


def with_pages(response: Response, query: Query, total: int | None, more: bool = False) -> Response:
    """The response with the headers of a list.

    `total` counts all entries; if it is None, `more` says whether there may be another page.
    """
    exposed = []
    if total is not None:
        response.headers["X-Total-Count"] = str(total)
        exposed.append("X-Total-Count")
    if query.is_paged and (places := _places(query, total, more)):
        response.headers["Link"] = ",".join(f'<{_url(page)}>; rel="{name}"' for name, page in places.items())
        exposed.append("Link")
    if exposed:
        response.headers["Access-Control-Expose-Headers"] = ", ".join(exposed)
    return response


def _places(query: Query, total: int | None, more: bool) -> dict[str, int]:
    """The pages that Forgejo's lists refer to, in its order."""
    page = query.page or 1
    last = page + more if total is None else max(1, -(-total // (query.limit or PAGE_SIZE)))
    places = {}
    if page < last:
        places["next"] = page + 1
        if total is not None:
            places["last"] = last
    if page > 1:
        places |= {"first": 1, "prev": min(page - 1, last)}
    return places


def _url(page: int) -> str:
    """The present URL with another page, and without the caller's token."""
    path, _, query = request.target().partition("?")
    kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in (*CREDENTIALS, "page")]
    return f"{request.links().base}{path[path.index('/api/') :]}?{urlencode([*kept, ('page', page)])}"
