"""The demo as a newcomer starts it: ./run.sh's program on a free port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from addon import ROOT

START_TIMEOUT = 40.0


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[str]:
    """What it prints. It is ended with Ctrl-C, which must end everything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output, confdir = folder / "output", folder / "confdir"
    confdir.mkdir()
    text = (ROOT / "mitm.yaml").read_text().replace("../addon/entry.py", str(ROOT / "addon/entry.py"))
    (confdir / "config.yaml").write_text(text)
    mitmdump = [str(Path(sys.executable).parent / "mitmdump"), "--set", f"confdir={confdir}"]
    command = [sys.executable, "-m", "tests.double.serve_demo", f"127.0.0.1:{port}", *mitmdump]
    with output.open("w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=os.environ | environment
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while "Ctrl-C" not in output.read_text() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        yield output.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(20)
    assert status == 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
