"""Slows large responses down while there are other requests, for Forgejo or for the extension.

The proxy passes everything on in one event loop. Ten logs that are sent as fast as they can keep it so busy that a
small request takes several times as long. So while there are others, all large responses together get a fixed rate, and
those of one caller a part of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from werkzeug.wsgi import ClosingIterator

from addon import trace
from addon.caller import Share
from addon.inherited.other_traffic import OtherTraffic
from addon.journal import Wsgi
from addon.quota import Quota

# Bytes per second, of all large responses together. This is as much as a network of 1 Gbit/s takes.
RATE = 100e6
# So many bytes of each response are sent at once. A response that is not larger counts as other traffic.
AT_ONCE = 256 * 1024
EVERYBODY = Share("everybody", 1)


class Pace:
    """The rate of all large responses."""

    def __init__(self, others: OtherTraffic, rate: float = RATE) -> None:
        """`rate` is in bytes per second."""
        self._others, self._rate, self._quota = others, rate, Quota()

    def around(self, app: Wsgi) -> Wsgi:
        """WSGI middleware that sends the responses of `app` at this pace."""

        def paced(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            body = app(environ, start_response)
            return ClosingIterator(self._paced(body), getattr(body, "close", None))

        return paced

    def _paced(self, body: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for block in body:
            if size > AT_ONCE and self._others.is_there():
                shares = (EVERYBODY, *trace.current().shares)
                time.sleep(self._quota.pause(shares, time.monotonic(), len(block) / self._rate))
            size += len(block)
            yield block
        if size <= AT_ONCE:
            self._others.note()
