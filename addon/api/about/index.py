"""The index page: which Forgejo this is, what it can do, the options that matter to clients, and links."""

from __future__ import annotations

from typing import Any

from addon import __version__
from addon.api.responses import Json
from addon.forgejo import versions
from addon.settings import Settings

# Each capability, and the fact about versions that it states.
CAPABILITIES = {
    "run_ids": "run_ids",
    "events": "events",
    "attempts": "attempts",
    "artifact_ranges": "artifact_ranges",
    "rerun_deletes_artifacts": "rerun_deletes_artifacts",
    "native_runs_list": "run_ids",
    "native_routes": "native_routes",
    "native_rerun": "native_rerun",
}


def index(version: str | None, settings: Settings, base: str) -> Json:
    """`version` is Forgejo's, None if it is unknown. `base` is the scheme and host that the client used."""
    major = versions.major(version)
    about = f"{base}/api/v1/actions-extensions"
    capabilities: dict[str, Any] = {name: versions.has(fact, major) for name, fact in CAPABILITIES.items()}
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
            "docs": f"{about}/docs",
            "openapi": f"{about}/openapi.json",
            "health": f"{about}/health",
            "metrics": f"{about}/metrics" if settings.metrics else None,
            "swagger": f"{base}/api/swagger",
        },
    }
