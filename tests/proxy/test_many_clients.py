"""Many clients that stay connected, although the proxy is started with a low limit of open files."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.proxy import Proxy, start_proxy

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


def test_each_gets_its_answers(limited: Proxy) -> None:
    address = limited.url.removeprefix("http://")
    clients = [http.client.HTTPConnection(address, timeout=20) for _ in range(CLIENTS)]
    for _ in range(2):
        for client in clients:
            client.request("GET", "/api/v1/repos/org/repo/actions/runs/x/logs")
            response = client.getresponse()
            assert (response.status, response.read()[:10]) == (400, b'{"message"')
    for client in clients:
        client.close()
