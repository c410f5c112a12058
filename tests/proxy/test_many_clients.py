"""Many clients that stay connected, although the proxy is started with a low limit of open files."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.api.connections import MOST_IDLE
from tests.bench.processes import family
from tests.support.proxy import Proxy, eventually, start_proxy

# mitmproxy's own files need some of these. Each client needs two.
LIMIT, CLIENTS = 100, 100


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy that may have only so many files open, unless it raises this limit."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nulimit -S -n {LIMIT}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    with start_proxy("http://127.0.0.1:9", python=str(python)) as proxy:
        yield proxy


def connect(proxy: Proxy, count: int) -> list[http.client.HTTPConnection]:
    address = proxy.url.removeprefix("http://")
    return [http.client.HTTPConnection(address, timeout=20) for _ in range(count)]


def ask(client: http.client.HTTPConnection) -> tuple[int, bytes]:
    """The status and the beginning of the body."""
    client.request("GET", "/api/v1/repos/org/repo/actions/runs/x/logs")
    response = client.getresponse()
    return response.status, response.read()[:10]


def test_each_gets_its_answers(limited: Proxy) -> None:
    clients = connect(limited, CLIENTS)
    for _ in range(2):
        for client in clients:
            assert ask(client) == (400, b'{"message"')
    for client in clients:
        client.close()


def test_idle_ones_take_no_connection_of_the_application(limited: Proxy) -> None:
    _, application = family(limited.process.pid)
    files = Path(f"/proc/{application}/fd")
    before = len(os.listdir(files))
    clients = connect(limited, MOST_IDLE + 20)
    for client in clients:
        assert ask(client) == (400, b'{"message"')
    eventually(lambda: len(os.listdir(files)) <= before + MOST_IDLE, 60)
    assert ask(clients[0]) == (400, b'{"message"'), "its own connection is still there"
    for client in clients:
        client.close()
