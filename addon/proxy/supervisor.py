"""Starts, watches, restarts and stops the application, which is a process of its own.

So parsing pages does not slow mitmproxy down, and the administrator's session is not in the process that mitmweb shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Sequence

from addon import ROOT
from addon.api import routes
from addon.api.native import paths
from addon.forgejo import versions
from addon.inherited import account_secrets
from addon.inherited.other_traffic import OtherTraffic
from addon.proxy import lifetime
from addon.settings import Settings

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "addon.api.app")
FIRST_PAUSE, LAST_PAUSE = 0.2, 5.0
# After a run of this many seconds, the next start waits only for the first pause.
STABLE_AFTER = 30.0
START_TIMEOUT = 20.0


class Supervisor:
    """Keeps one application running. `address` is None while it is not.

    As the application last reported, `major` is Forgejo's major version, `routes_major` the one whose routes it surely
    has, and `lists_runs` says whether its API lists runs. None is unknown.
    """

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        self.secret = secrets.token_hex(32)
        self.address: tuple[str, int] | None = None
        self.major: int | None = None
        self.routes_major: int | None = None
        self.lists_runs: bool | None = None
        self.other_traffic = OtherTraffic.create()
        self._settings = settings
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts the application, and a task that restarts it whenever it ends."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._keep_alive(first))
        await first.wait()

    def takes(self, target: str) -> bool:
        """Whether the application answers a raw request target. Forgejo answers it if it has the route itself.

        While it is unknown whose the list of runs is, the application finds it out, with the caller's credentials.
        """
        collisions = self._settings.collisions
        return routes.is_ours(target, collisions, self.lists_runs is True) or paths.is_ours(
            target, collisions, self.routes_major
        )

    def say_dialect(self) -> None:
        """Prints what {x} is in `runs/{x}/…`."""
        lifetime.say(f"actions extension: {versions.dialect(self._settings.collisions, self.major)}")

    def drain(self) -> None:
        """Tells the application to end followed streams."""
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(b"\n")

    async def stop(self) -> None:
        """Ends the application by closing its standard input."""
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
        """Runs the application once, from its start to its end."""
        pipe = asyncio.subprocess.PIPE
        # In a session of its own: Ctrl-C reaches only mitmproxy, which lets open requests finish first.
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=pipe,
            stdout=pipe,
            cwd=ROOT,
            start_new_session=True,
            pass_fds=(self.other_traffic.descriptor, *account_secrets.descriptors(os.environ)),
        )
        assert process.stdin is not None and process.stdout is not None
        start = {"settings": self._settings.to_json(), "secret": self.secret, "traffic": self.other_traffic.descriptor}
        process.stdin.write(json.dumps(start).encode() + b"\n")
        await process.stdin.drain()
        line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT)
        if not line:
            raise ValueError("it ended before it listened")
        self._learn(line)
        self.address = "127.0.0.1", int(json.loads(line)["port"])
        first.set()
        async for line in process.stdout:  # what it has learned about Forgejo since
            with contextlib.suppress(ValueError, AttributeError):
                self._learn(line)
        await process.wait()

    def _learn(self, line: bytes) -> None:
        message = json.loads(line)
        before, self.major = self.major, message.get("major", self.major)
        started = before is not None or self.address is not None
        if started and self.major not in (before, None):
            self.say_dialect()  # again, because an upgrade of Forgejo may change it
        self.routes_major = message.get("routes_major", self.routes_major)
        self.lists_runs = message.get("lists_runs", self.lists_runs)

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
