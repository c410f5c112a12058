"""Starts, watches, restarts and stops the application, a process of its own.

It keeps scraping off mitmproxy's interpreter, and the administrator's session out of the process that mitmweb shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import sys
import time
from collections.abc import Sequence

from addon import ROOT
from addon.settings import Settings

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "addon.api.app")
FIRST_PAUSE, LAST_PAUSE = 0.2, 5.0
# One that ran so long before it ended starts again after the first pause.
STABLE_AFTER = 30.0
START_TIMEOUT = 20.0


class Supervisor:
    """Keeps one application alive. `address` is None while there is none.

    `lists_runs` is what the application last told of Forgejo: whether its API lists runs; None while that is unknown.
    """

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        self.secret = secrets.token_hex(32)
        self.address: tuple[str, int] | None = None
        self.lists_runs: bool | None = None
        self._settings = settings
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts the application, and a task that starts it again whenever it ends."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._keep_alive(first))
        await first.wait()

    def drain(self) -> None:
        """Tells the application to let streams without an end of their own come to one."""
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(b"\n")

    async def stop(self) -> None:
        """Ends the application: its standard input closes, and it goes."""
        self.address = None
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._end()

    async def _keep_alive(self, first: asyncio.Event) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            try:
                await self._run(first)
            except (OSError, ValueError, TimeoutError) as error:
                log.error("actions extension: the application can't start: %s", error)
            finally:
                self.address = None
                await self._end()
                first.set()
            if time.monotonic() - started > STABLE_AFTER:
                pause = FIRST_PAUSE
            log.error("actions extension: the application has ended; it is started again in %.1f s", pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _run(self, first: asyncio.Event) -> None:
        """One life of the application, from its start to its end."""
        pipe = asyncio.subprocess.PIPE
        # A group of its own: Ctrl-C reaches mitmproxy only, which lets requests in flight finish first.
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, cwd=ROOT, start_new_session=True
        )
        assert process.stdin is not None and process.stdout is not None
        start = {"settings": self._settings.to_json(), "secret": self.secret}
        process.stdin.write(json.dumps(start).encode() + b"\n")
        await process.stdin.drain()
        line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT)
        if not line:
            raise ValueError("it ended before it listened")
        told = json.loads(line)
        self.address, self.lists_runs = ("127.0.0.1", int(told["port"])), told.get("lists_runs")
        first.set()
        async for line in process.stdout:  # what it has learnt of Forgejo since
            with contextlib.suppress(ValueError, AttributeError):
                self.lists_runs = json.loads(line).get("lists_runs", self.lists_runs)
        await process.wait()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 2)
        except TimeoutError:
            process.kill()
            await process.wait()
