"""Who the client is, as Forgejo is told."""

from __future__ import annotations

import pytest
import requests
from mitmproxy.test import tflow

from addon import settings
from addon.proxy import forwarded
from tests.double import Double
from tests.support.proxy import start_proxy
from tests.support.sample import sample

CLAIM = ((b"X-Forwarded-For", b"192.0.2.7"), (b"x-real-ip", b"192.0.2.7"))


@pytest.mark.parametrize(
    ("trusted", "peer", "told"),
    [
        ("127.0.0.0/8, ::1/128", "127.0.0.9", "192.0.2.7"),
        ("127.0.0.0/8, ::1/128", "::1", "192.0.2.7"),
        ("127.0.0.0/8", "::ffff:127.0.0.1", "192.0.2.7"),
        ("127.0.0.0/8", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.0/8", "::ffff:203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "10.0.0.1", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("10.0.0.0/8", "fe80::1%eth0", "fe80::1"),
    ],
)
def test_whose_word_counts(trusted: str, peer: str, told: str) -> None:
    flow = tflow.tflow()
    flow.client_conn.peername = (peer, 1234)
    flow.request.headers.fields = CLAIM
    forwarded.rewrite(flow, forwarded.Trust.of(trusted))
    assert flow.request.headers.get_all("X-Forwarded-For") == [told]
    assert flow.request.headers.get_all("X-Real-IP") == [told]


@pytest.mark.parametrize(
    ("trusted", "peer", "passed"),
    [
        ("127.0.0.0/8, ::1/128", "127.0.0.1", False),  # the default trusts every program on this machine
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("10.0.0.0/8, 127.0.0.0/8, ::1/128", "::1", True),
    ],
)
@pytest.mark.parametrize("name", [b"X-WebAuth-User", b"x-webauth-email", b"X_WEBAUTH_USER"])
def test_who_may_tell_the_user(trusted: str, peer: str, passed: bool, name: bytes) -> None:
    """Forgejo signs in whoever X-WebAuth-User names, if it is set up for it."""
    flow = tflow.tflow()
    flow.client_conn.peername = (peer, 1234)
    flow.request.headers.fields = (*CLAIM, (name, b"root"))
    forwarded.rewrite(flow, forwarded.Trust.of(trusted))
    assert ((name, b"root") in flow.request.headers.fields) == passed


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.0/40", "127.0.0.1,"])
def test_a_wrong_setting_is_told(text: str) -> None:
    options = {name: value for name, (value, _) in settings.OPTIONS.items()} | {"actions_trusted_proxies": text}
    with pytest.raises(ValueError, match=r"actions_trusted_proxies is .*; write addresses and networks"):
        settings.parse(["reverse:http://127.0.0.1:9"], options)


@pytest.mark.parametrize(
    ("trusted", "told", "scheme"), [("127.0.0.1", "192.0.2.7", "https"), ("192.0.2.1", "127.0.0.1", "http")]
)
def test_extension_requests_are_no_exception(trusted: str, told: str, scheme: str) -> None:
    """Forgejo is asked for access in the name of the same address, and links begin as the trusted front says."""
    with Double(version="v15") as double:
        demo, admin = sample(double.world, "forwarded"), double.world.admin
        with start_proxy(double.url, (admin.name, admin.password), {"actions_trusted_proxies": trusted}) as proxy:
            headers = {
                "Authorization": f"token {demo.reader}",
                "X-Forwarded-For": "192.0.2.7",
                "X-Forwarded-Proto": "https",
            }
            answer = requests.get(f"{proxy.url}{demo.base}/by-number/1", headers=headers, timeout=20)
            assert answer.json()["logs_url"].startswith(f"{scheme}://")
        probes = [seen.headers for seen in double.requests if seen.path.startswith("/api/v1/repos/")]
        assert probes and {headers["X-Forwarded-For"] for headers in probes} == {told}
