"""The extension's pages about itself, at /api/v1/actions-extensions/. They tell nothing about repositories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from werkzeug.wrappers import Response

from addon.api import request
from addon.api.about import index
from addon.api.about.health import Health
from addon.api.about.metrics import MEDIA_TYPE, Metrics
from addon.api.responses import as_json
from addon.caller import Caller
from addon.errors import NotFound
from addon.settings import Settings


@dataclass(frozen=True, slots=True)
class About:
    """What the pages show. `metrics` is None if they are turned off.

    `version` asks Forgejo for its version with a caller's credentials; it returns None if Forgejo does not tell.
    """

    health: Health
    metrics: Metrics | None
    settings: Settings
    version: Callable[[Caller], str | None]


def page(name: str, about: About, caller: Caller) -> Response:
    """The page with this name, which is the path after `actions-extensions/`."""
    if name not in PAGES:
        names = ", ".join(page or "(nothing)" for page in PAGES)
        raise NotFound(f"no such page of the extension; after actions-extensions/ comes one of: {names}")
    return PAGES[name](about, caller)


def _index(about: About, caller: Caller) -> Response:
    return as_json(index.index(about.version(caller), about.settings, request.links().base))


def _docs(about: About, caller: Caller) -> Response:
    from addon.api.about import reference  # it needs packages that nothing else needs

    page = reference.page(about.settings.max_wait, about.settings.collisions)
    headers = {"Content-Security-Policy": page.policy, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
    return Response(page.html, headers=headers, content_type="text/html; charset=utf-8")


def _openapi(about: About, caller: Caller) -> Response:
    from addon.api.about import openapi

    text = openapi.as_json(about.settings.max_wait, about.settings.collisions)
    return Response(text, content_type="application/json; charset=utf-8")


def _health(about: About, caller: Caller) -> Response:
    healthy = about.health.is_healthy()
    return as_json({"status": "ok" if healthy else "failing"}, 200 if healthy else 503)


def _metrics(about: About, caller: Caller) -> Response:
    if about.metrics is None:
        raise NotFound('metrics are turned off; write actions_metrics: "true" in mitm.yaml and restart the proxy')
    return Response(about.metrics.text(), content_type=MEDIA_TYPE)


PAGES: Mapping[str, Callable[[About, Caller], Response]] = {
    "": _index,
    "docs": _docs,
    "openapi.json": _openapi,
    "health": _health,
    "metrics": _metrics,
}
