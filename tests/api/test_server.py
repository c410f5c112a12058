"""Requests that the application's HTTP server refuses look like every other error: JSON, our headers, a log line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from addon import __version__
from tests.support.proxy import Proxy, eventually, raw, start_proxy

PATH = "/api/v1/repos/org/repo/actions/runs/latest"
ABOUT = "/api/v1/actions-extensions/"


@pytest.fixture(scope="module")
def direct() -> Iterator[Proxy]:
    """A proxy whose Forgejo is not there: nothing here gets as far."""
    with start_proxy("http://127.0.0.1:9") as proxy:
        yield proxy


def ask(proxy: Proxy, line: str, header: str = "X: y") -> tuple[int, dict[str, str], str]:
    """Status, headers in lower case, and message."""
    head, _, body = raw(
        proxy, f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n".encode()
    ).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
    assert headers["content-type"] == "application/json; charset=utf-8", head
    assert headers["x-actions-extension"] == __version__ and headers["cache-control"] == "no-store"
    return int(status.split()[1]), headers, json.loads(body)["message"]


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "PUT", "OPTIONS", "X"])
@pytest.mark.parametrize(("path", "allowed"), [(PATH, "GET, HEAD"), (f"{PATH}/rerun", "POST"), (ABOUT, "GET, HEAD")])
def test_every_wrong_method_is_told_the_right_ones(direct: Proxy, method: str, path: str, allowed: str) -> None:
    status, headers, message = ask(direct, f"{method} {path}")
    assert (status, headers["allow"]) == (405, allowed) and allowed in message


@pytest.mark.parametrize(
    ("line", "header", "expected", "words"),
    [
        (f"GET {PATH}", "X: " + "a" * (300 << 10), 431, "256 KiB"),
        (f"GET {PATH}?" + "a" * (300 << 10), "X: y", 431, "256 KiB"),
        (f"GET {PATH}", "X: \x01", 400, "malformed"),
        (f"get {PATH}", "X: y", 400, "malformed"),
    ],
    ids=["large header", "large target", "control character", "lower case"],
)
def test_what_the_server_cannot_read(direct: Proxy, line: str, header: str, expected: int, words: str) -> None:
    before = len(direct.log())
    status, _, message = ask(direct, line, header)
    assert status == expected and words in message
    eventually(lambda: f"{line.partition('?')[0]} → {expected}" in direct.log()[before:])
