"""The application in a process of its own, forked before mitmdump starts: its modules are loaded already.

Only the first start is made so. Whenever the supervisor starts the application again, that is a real start.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from addon.api import app
from addon.proxy import supervisor

# Received files get numbers from this one on, so none has the number that another one must get.
HIGH = 200


class Prepared:
    """A child that waits until the supervisor starts it. As much of `subprocess.Popen` as asyncio uses."""

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.stdin = self.stdout = self.stderr = None
        self._order, order = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            self._order.close()
            _serve(order)
            raise SystemExit
        order.close()

    def start(self, cwd: os.PathLike[str], pass_fds: Sequence[int]) -> Prepared:
        """Makes it the application, with the environment and the open files that a real start gives it."""
        (stdin, self.stdin), (self.stdout, stdout) = map(_files, (os.pipe(), os.pipe()))
        with self._order, stdin, stdout:
            socket.send_fds(self._order, [b"."], [stdin.fileno(), stdout.fileno(), *pass_fds])
            self._order.sendall(json.dumps([str(cwd), dict(os.environ), [0, 1, *pass_fds]]).encode())
        return self

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def prepare() -> None:
    """From now on, the first start of the application in this process takes a prepared one."""
    prepared, popen = [Prepared()], subprocess.Popen

    def start(args: Sequence[str], **options: Any) -> Any:
        if tuple(args) == supervisor.COMMAND and prepared:
            return prepared.pop().start(options["cwd"], options["pass_fds"])
        return popen(args, **options)

    subprocess.Popen = start  # type: ignore[assignment, misc]


def _files(pipe: tuple[int, int]) -> tuple[Any, Any]:
    return open(pipe[0], "rb", 0), open(pipe[1], "wb", 0)


def _serve(order: socket.socket) -> None:
    """Waits for the order; without one, mitmdump has ended."""
    _, received, _, _ = socket.recv_fds(order, 1, 10)
    with order, order.makefile() as file:
        text = file.read()
    if not text:
        return
    folder, environment, numbers = json.loads(text)
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, HIGH) for descriptor in received]
    for descriptor in received:
        os.close(descriptor)
    for descriptor, number in zip(high, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    app.main()
