"""A real mitmdump before an upstream, for tests."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from addon import ROOT
from tests.support.forked import ForkedMitmdump

LISTENING = re.compile(r"listening on (http://[0-9.]+:[0-9]+)")
START_TIMEOUT = 120.0


class Proxy:
    """A running mitmdump; `url` is where it listens."""

    def __init__(self, process: subprocess.Popen[str] | ForkedMitmdump) -> None:
        self.process = process
        self.url = ""
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def log(self) -> str:
        """Everything that it has printed so far."""
        return "".join(self._lines)

    def wait_until_listening(self) -> None:
        """Raises RuntimeError with its output when it ends instead."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if found := LISTENING.search(self.log()):
                self.url = found[1]
                return
            if self.process.poll() is not None:
                self._reader.join(5)
                break
            time.sleep(0.02)
        raise RuntimeError(f"mitmdump does not listen:\n{self.log()}")

    def stop(self) -> int:
        """Ends it as an operator would; its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)


def raw(proxy: Proxy, request: bytes, timeout: float = 10) -> bytes:
    """What comes back for these bytes, to the end of the connection."""
    host, port = proxy.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def eventually(holds: Callable[[], object], seconds: float = 20) -> None:
    """Waits until it holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


async def soon(holds: Callable[[], object], seconds: float = 20) -> None:
    """The same for a coroutine."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.02)


@contextmanager
def start_proxy(
    upstream: str,
    admin: tuple[str, str] = ("root-admin", "unused"),
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    listening: bool = True,
    program: str = "mitmdump",
    root: Path = ROOT,
    python: str = sys.executable,
    forked: bool = True,
) -> Iterator[Proxy]:
    """mitmdump, or mitmweb, with the project's mitm.yaml, changed by `options`, on a free port before `upstream`.

    `admin` is the administrator's name and password. With `listening` False it isn't waited for. `root` and `python`
    can be those of another revision of the project. `forked` may be used where the start itself is not of interest.
    """
    with tempfile.TemporaryDirectory() as confdir:
        config = yaml.safe_load((root / "mitm.yaml").read_text())
        config |= {"mode": [f"reverse:{upstream}@127.0.0.1:0"], "scripts": [str(root / "addon/entry.py")]}
        Path(confdir, "config.yaml").write_text(yaml.safe_dump(config | dict(options or {})))
        account = {"FORGEJO_ADMIN_USER": admin[0], "FORGEJO_ADMIN_PASSWORD": admin[1]}
        variables = {**os.environ, **account, **(environment or {})}
        arguments = ("--set", f"confdir={confdir}")
        process: subprocess.Popen[str] | ForkedMitmdump
        if forked and (program, root, python) == ("mitmdump", ROOT, sys.executable):
            process = ForkedMitmdump(confdir, root, variables)
        else:
            process = subprocess.Popen(
                [python, "-c", f"from mitmproxy.tools.main import {program}; {program}()", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=root,
                env={"PYTHONUNBUFFERED": "1", **variables},
            )
        proxy = Proxy(process)
        try:
            if listening:
                proxy.wait_until_listening()
            yield proxy
        finally:
            if process.poll() is None:
                proxy.stop()
