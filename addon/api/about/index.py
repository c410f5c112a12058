"""What the extension's first page tells: which Forgejo this is, what can be had of it, and where to look next."""

from __future__ import annotations

from typing import Any

from addon import __version__
from addon.api.answers.render import Json
from addon.api.routes import COLLISIONS_SINCE
from addon.forgejo import upstream
from addon.settings import Settings

# The first major version that has it.
SINCE = {
    "run_ids": upstream.LISTS_RUNS_SINCE,
    "events": 9,
    "attempts": 13,
    "artifact_ranges": 9,
    "rerun_deletes_artifacts": 15,
    "native_runs_list": upstream.LISTS_RUNS_SINCE,
    "native_routes": COLLISIONS_SINCE,
}


def index(version: str | None, settings: Settings, base: str) -> Json:
    """`version` is Forgejo's, None if it isn't known; `base` the scheme and host that the client used."""
    major = upstream.major(version)
    own = f"{base}/api/v1/actions-extensions"
    capabilities: dict[str, Any] = {name: None if major is None else major >= since for name, since in SINCE.items()}
    return {
        "name": "forgejo-actions-proxy",
        "version": __version__,
        "forgejo": {"version": version, "major": major},
        "capabilities": capabilities,
        "options": {
            "collisions": settings.collisions,
            "default_attempt": settings.default_attempt,
            "max_wait_seconds": settings.max_wait,
            "metrics": settings.metrics,
            "swagger": settings.swagger,
        },
        "links": {
            "docs": f"{own}/docs",
            "openapi": f"{own}/openapi.json",
            "health": f"{own}/health",
            "metrics": f"{own}/metrics" if settings.metrics else None,
            "swagger": f"{base}/api/swagger",
        },
    }
