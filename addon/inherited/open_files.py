"""How many files, and so connections, the proxy and the application may have open."""

from __future__ import annotations

import contextlib
import resource


def allow_all() -> None:
    """Raises the limit to the most that the system allows, also for the application. Programs in Go do the same.

    Each client has a connection, and the proxy opens another one for it. So the usual limit of 1024 allows about 500
    clients.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS refuses some values that it calls allowed
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
