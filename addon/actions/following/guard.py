"""What watches over a stream that has no end of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

from addon.errors import ApiError, Forbidden, NotFound, Unauthorized

# Seconds that Forgejo may be away before a stream is given up.
GIVE_UP = 60.0


class Guard:
    """What ends a stream before its job does: the client leaves, access ends, Forgejo stays away, the proxy stops."""

    def __init__(
        self, check: Callable[[], object], gone: Callable[[], bool], stopping: Callable[[], bool], recheck: float
    ) -> None:
        """`check` asks for access anew, every `recheck` seconds, and raises what it is refused with."""
        self.gone = gone
        self.stopping = stopping
        self.refused = False
        self._check = check
        self._recheck = recheck
        self._checked_at = time.monotonic()
        self._failing_since: float | None = None

    def refusal(self) -> str | None:
        """Why nothing more may be shown. Forgejo is asked when its last yes is old; raises while it can't be."""
        if time.monotonic() - self._checked_at < self._recheck:
            return None
        try:
            self._check()
        except (Unauthorized, Forbidden, NotFound) as error:
            self.refused = True
            return error.message
        self._checked_at = time.monotonic()
        return None

    def failed(self, error: ApiError) -> bool:
        """Notes that Forgejo failed; whether it just began to. Raises the error when that has lasted too long."""
        began = self._failing_since is None
        self._failing_since = self._failing_since or time.monotonic()
        if time.monotonic() - self._failing_since > GIVE_UP:
            raise error
        return began

    def worked(self) -> None:
        """Forgejo answers again."""
        self._failing_since = None
