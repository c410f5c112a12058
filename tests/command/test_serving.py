"""What is found out before a start: mitmweb's port, and a demo whose proxy does not start."""

from __future__ import annotations

import socket
import subprocess

import pytest

from addon import ROOT
from addon.check.setup import Setup
from addon.command import serving
from tests.support.started import CLEAN


@pytest.mark.parametrize("listen", [serving.MITMWEB_PORT, 8080])
def test_mitmweb_gets_a_port_that_nobody_has(listen: int) -> None:
    """Neither the proxy nor another program."""
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", serving.MITMWEB_PORT + 1))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which serves as well
        option, port = serving._web_port(Setup({}, {}), listen, [])
        assert option == "--web-port" and int(port) not in (listen, serving.MITMWEB_PORT + 1)
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", int(port)))


@pytest.mark.parametrize("arguments", [["--web-port", "9"], ["--set", "web_port=9"]])
def test_a_chosen_port_stays(arguments: list[str]) -> None:
    assert serving._web_port(Setup({}, {}), 8080, arguments) == []
    assert serving._web_port(Setup({}, {"web_port": 9}), 8080, []) == []


def test_a_demo_that_does_not_start_is_not_introduced() -> None:
    done = subprocess.run(
        [ROOT / "run.sh", "--nonsense"], env=CLEAN | {"LISTEN": "127.0.0.1:0"}, capture_output=True, text=True, timeout=90
    )  # fmt: skip
    assert done.returncode == 1 and "unrecognized arguments: --nonsense" in done.stderr
    assert "Demo:" not in done.stdout and "Traceback" not in done.stderr
