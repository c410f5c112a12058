"""The extension's pages about itself, at /api/v1/actions-extensions/: they tell of no repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Response

from addon.api.about import index, openapi, reference
from addon.api.about.health import Health
from addon.api.about.metrics import MEDIA_TYPE, Metrics
from addon.api.responses import as_json, links
from addon.caller import Caller
from addon.errors import NotFound
from addon.settings import Settings


@dataclass(frozen=True, slots=True)
class Inside:
    """What these pages tell of. `metrics` is None when they are not to be shown; `version` asks Forgejo for its own,
    with a caller's credentials, and is None where it doesn't tell."""

    health: Health
    metrics: Metrics | None
    settings: Settings
    version: Callable[[Caller], str | None]


def answer(name: str, inside: Inside, caller: Caller) -> Response:
    """The page of this name, which is what follows `actions-extensions/`."""
    if name not in PAGES:
        names = ", ".join(page or "(nothing)" for page in PAGES)
        raise NotFound(f"no such page of the extension; after actions-extensions/ comes one of: {names}")
    return PAGES[name](inside, caller)


def _index(inside: Inside, caller: Caller) -> Response:
    return as_json(index.index(inside.version(caller), inside.settings, links().base))


def _docs(inside: Inside, caller: Caller) -> Response:
    page = reference.page(inside.settings.max_wait)
    headers = {"Content-Security-Policy": page.policy, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
    return Response(page.html, headers=headers, content_type="text/html; charset=utf-8")


def _openapi(inside: Inside, caller: Caller) -> Response:
    return Response(openapi.as_json(inside.settings.max_wait), content_type="application/json; charset=utf-8")


def _health(inside: Inside, caller: Caller) -> Response:
    fine = inside.health.fine()
    return as_json({"status": "ok" if fine else "failing"}, 200 if fine else 503)


def _metrics(inside: Inside, caller: Caller) -> Response:
    if inside.metrics is None:
        raise NotFound('metrics are turned off; write actions_metrics: "true" in mitm.yaml and restart the proxy')
    return Response(inside.metrics.text(), content_type=MEDIA_TYPE)


PAGES: Mapping[str, Callable[[Inside, Caller], Response]] = {
    "": _index,
    "docs": _docs,
    "openapi.json": _openapi,
    "health": _health,
    "metrics": _metrics,
}
