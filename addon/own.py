"""The extension's pages about itself, at /api/v1/actions-extensions/: they tell of no repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Response

from addon import __version__
from addon.errors import NotFound
from addon.health import Health
from addon.metrics import MEDIA_TYPE, Metrics
from addon.replies import as_json


@dataclass(frozen=True, slots=True)
class Inside:
    """What these pages tell of. `metrics` is None when they are not to be shown."""

    health: Health
    metrics: Metrics | None


def answer(name: str, inside: Inside) -> Response:
    """The page of this name, which is what follows `actions-extensions/`."""
    if name not in PAGES:
        names = ", ".join(page or "(nothing)" for page in PAGES)
        raise NotFound(f"no such page of the extension; after actions-extensions/ comes one of: {names}")
    return PAGES[name](inside)


def _index(inside: Inside) -> Response:
    return as_json({"name": "forgejo-actions-proxy", "version": __version__})


def _health(inside: Inside) -> Response:
    fine = inside.health.fine()
    return as_json({"status": "ok" if fine else "failing"}, 200 if fine else 503)


def _metrics(inside: Inside) -> Response:
    if inside.metrics is None:
        raise NotFound('metrics are turned off; write actions_metrics: "true" in mitm.yaml and restart the proxy')
    return Response(inside.metrics.text(), content_type=MEDIA_TYPE)


PAGES: Mapping[str, Callable[[Inside], Response]] = {"": _index, "health": _health, "metrics": _metrics}
