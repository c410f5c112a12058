"""Connections whose client reads nothing are ended after a while, a few at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from addon.api import stalled
from addon.api.stalled import AT_ONCE, PAUSE, end_stalled
from tests.api.test_pacing import Clock

SECONDS = 10.0


class Over(Exception):
    """The test has seen enough looks."""


def test_a_few_are_ended_at_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = {number: _Channel() for number in range(2 * AT_ONCE + 1)}
    ended_at: list[float] = []

    class Server:
        active_channels: Any = channels

        def pull_trigger(self) -> None:
            ended_at.append(clock.now)
            for number in [number for number, channel in channels.items() if channel.will_close]:
                del channels[number]

    clock = _EndingClock(last=SECONDS + 10 * PAUSE)
    monkeypatch.setattr(stalled, "time", clock)
    with pytest.raises(Over):
        end_stalled(Server(), SECONDS)
    first = ended_at[0]
    assert first > SECONDS
    assert ended_at == [first] * AT_ONCE + [first + PAUSE] * AT_ONCE + [first + 2 * PAUSE]


class _Channel:
    """A connection of the WSGI server with bytes that nobody reads."""

    total_outbufs_len, last_activity, will_close = 1, 0.0, False
    socket = SimpleNamespace(shutdown=lambda how: None)


class _EndingClock(Clock):
    def __init__(self, last: float) -> None:
        super().__init__()
        self.now, self._last = 0.0, last

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.now > self._last:
            raise Over
