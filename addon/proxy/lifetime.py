"""When mitmproxy ends, besides Ctrl-C and SIGTERM: its terminal is closed, or its starter has ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

# If this environment variable is set, standard input is a pipe that the starter holds open and never writes to.
LIFELINE = "ACTIONS_EXTENSION_LIFELINE"


def watch(shutdown: Callable[[], None]) -> None:
    """Calls `shutdown` at SIGHUP, unless it is ignored as by nohup, and at the end of the lifeline."""
    loop = asyncio.get_running_loop()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        loop.add_signal_handler(signal.SIGHUP, shutdown)
    if os.environ.pop(LIFELINE, None):
        lifeline = sys.stdin.fileno()

        def ended() -> None:
            if not os.read(lifeline, 1024):
                loop.remove_reader(lifeline)
                shutdown()

        loop.add_reader(lifeline, ended)


def say(line: str) -> None:
    """Prints a line on standard error. A closed terminal must not make a hook fail."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)
