"""What ends a followed stream before its job ends: the client, lost access, a failing Forgejo, a stop of the proxy."""

from __future__ import annotations

import time
from collections.abc import Callable

from addon.actions.recheck import Recheck
from addon.errors import ApiError, Forbidden, NotFound, Unauthorized

# How many seconds Forgejo may fail before a stream ends.
GIVE_UP = 60.0


class Guard:
    """Watches over one stream."""

    def __init__(
        self,
        check_access: Callable[[], object],
        is_disconnected: Callable[[], bool],
        is_stopping: Callable[[], bool],
        recheck: float,
    ) -> None:
        """`check_access` is called every `recheck` seconds and raises a refusal, which is kept as `refused`."""
        self.is_disconnected = is_disconnected
        self.is_stopping = is_stopping
        self.refused = ""
        self._recheck = Recheck(check_access, recheck)
        self._failing_since: float | None = None

    def refusal(self) -> str | None:
        """Forgejo's refusal, if access has ended. Raises other errors of the check."""
        try:
            self._recheck.if_due()
        except (Unauthorized, Forbidden, NotFound) as error:
            self.refused = error.message
            return error.message
        return None

    def has_just_failed(self, error: ApiError) -> bool:
        """Notes a failure of Forgejo. Returns whether it is the first one; raises it after GIVE_UP seconds."""
        first = self._failing_since is None
        self._failing_since = self._failing_since or time.monotonic()
        if time.monotonic() - self._failing_since > GIVE_UP:
            raise error
        return first

    def has_worked(self) -> None:
        """Notes that Forgejo answers again."""
        self._failing_since = None
