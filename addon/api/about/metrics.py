"""Metrics in Prometheus' text format: requests, and requests to Forgejo. No label names a repository."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from addon import __version__

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# In seconds: for short responses, logs, followers.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters since the application's start."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        ProcessCollector(registry=registry)
        about = Gauge("actions_extension_info", "Always 1.", ["version"], registry=registry)
        about.labels(__version__).set(1)
        self._requests = Counter(
            "actions_extension_requests", "Answered requests.", ["action", "status"], registry=registry
        )
        self._seconds = Histogram(
            "actions_extension_request_seconds",
            "From a request's arrival to its answer's last byte.",
            ["action"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._asked = Counter(
            "actions_extension_forgejo_requests",
            "Requests to Forgejo, with the caller's credentials or the session; status 0 means no response.",
            ["by", "status"],
            registry=registry,
        )
        self._asked_seconds = Histogram(
            "actions_extension_forgejo_request_seconds",
            "Until the head of Forgejo's response.",
            ["by"],
            buckets=BUCKETS,
            registry=registry,
        )

    def count_request(self, action: str, status: int, seconds: float) -> None:
        """Counts an answered request; `action` is that of a route, or ABOUT or INVALID."""
        self._requests.labels(action, str(status)).inc()
        self._seconds.labels(action).observe(seconds)

    def count_exchange(self, by: str, status: int | None, seconds: float) -> None:
        """Counts a request to Forgejo."""
        self._asked.labels(by, str(status or 0)).inc()
        self._asked_seconds.labels(by).observe(seconds)

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        return generate_latest(self._registry)
