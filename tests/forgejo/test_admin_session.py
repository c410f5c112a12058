"""The administrator's session: signing in, losing it, and being told why it can't be had."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from addon.errors import SignInFailed
from addon.forgejo.admin.credentials import Credentials, totp
from addon.forgejo.admin.sign_in import Clock, sign_in
from addon.forgejo.transport import Transport
from tests.conftest import MAIN, VERSIONS, Target
from tests.double import Double
from tests.support.proxy import start_proxy
from tests.support.sample import Sample, sample


def logins(double: Double) -> int:
    return sum(seen.method == "POST" and seen.path.endswith("/user/login") for seen in double.requests)


def test_a_lost_session_is_renewed(target: Target, demo: Sample) -> None:
    """A private page is then a 404, which must not be believed."""
    for path in ("latest", "1/logs", "2/summary"):
        target.double.restart()
        assert target.request("GET", f"{demo.base}/{path}", demo.reader).status_code == 200
    target.double.restart()
    assert target.request("POST", f"{demo.base}/1/rerun", demo.writer).status_code == 201


def test_a_lost_session_on_a_public_page_is_noticed(target: Target, unique: str) -> None:
    """There it shows no error, only less: nothing can be rerun."""
    demo = sample(target.world, f"public-{unique}", private=False)
    target.double.restart()
    assert target.request("GET", f"{demo.base}/latest", demo.reader).json()["rerunnable"] is True


@pytest.mark.parametrize("version", MAIN)
def test_many_requests_sign_in_once(version: str, unique: str) -> None:
    with alone(version) as (double, url):
        demo = sample(double.world, unique)
        header = {"Authorization": f"token {demo.reader}"}
        answers: list[int] = []

        def ask() -> None:
            answers.append(requests.get(f"{url}{demo.base}/1/logs", headers=header, timeout=20).status_code)

        for _ in range(2):
            threads = [threading.Thread(target=ask) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert answers == [200] * 12
            assert logins(double) == 1
            double.restart()
            double.forget_requests()
            answers.clear()


@contextmanager
def alone(
    version: str = "v15", user: dict[str, Any] | None = None, password: str = "", **double: Any
) -> Iterator[tuple[Double, str]]:
    """A stand-in of its own, with an administrator of its own, behind a proxy of its own."""
    with Double(version=version, **double) as stand_in:
        admin = stand_in.world.admin if user is None else stand_in.world.user("service", admin=True, **user)
        with start_proxy(stand_in.url, admin=(admin.name, password or admin.password)) as proxy:
            yield stand_in, proxy.url


def refusal(version: str, unique: str, **settings: Any) -> str:
    """The message of the 502 that a caller gets, asked twice; the second does not try to sign in again."""
    with alone(version, **settings) as (double, url):
        demo = sample(double.world, unique)
        header = {"Authorization": f"token {demo.reader}"}
        answers = [requests.get(f"{url}{demo.base}/1/logs", headers=header, timeout=20) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [502, 502]
        assert logins(double) == 1
        return str(answers[0].json()["message"])


def test_a_wrong_password_is_said_without_showing_it(unique: str) -> None:
    message = refusal("v15", unique, password="planted-wrong-password")
    assert "wrong user name or password" in message and "planted" not in message


@pytest.mark.parametrize("version", ["v7", "v17"])
def test_must_change_password(version: str, unique: str) -> None:
    assert "change its password" in refusal(version, unique, user={"must_change_password": True})


def test_a_second_factor_without_its_secret(unique: str) -> None:
    assert "second factor" in refusal("v13", unique, user={"totp": "JBSWY3DPEHPK3PXP"})


def test_a_second_factor_with_its_secret(unique: str) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    with Double(version="v15") as double:
        admin = double.world.user("service", admin=True, totp=secret)
        demo = sample(double.world, unique)
        environment = {"FORGEJO_ADMIN_TOTP_SECRET": secret}
        with start_proxy(double.url, admin=(admin.name, admin.password), environment=environment) as proxy:
            header = {"Authorization": f"token {demo.reader}"}
            assert requests.get(f"{proxy.url}{demo.base}/1/logs", headers=header, timeout=20).status_code == 200


def test_a_code_that_was_used_before() -> None:
    """Forgejo takes each code once. The next one is waited for, and what happens is in the log."""
    secret, waited, now = "JBSWY3DPEHPK3PXP", list[float](), time.time()

    def sleep(seconds: float) -> None:
        waited.append(seconds)

    with Double(version="v15") as double:
        user = double.world.user("service", totp=secret)
        transport, credentials = Transport(double.url, 10, 1), Credentials(user.name, user.password, secret)
        clock = Clock(lambda: now + sum(waited), sleep)
        assert sign_in(transport, credentials, clock).cookies and not waited
        assert sign_in(transport, credentials, clock).cookies and len(waited) == 1
        user.totp = "GEZDGNBVGY3TQOJQ"
        with pytest.raises(SignInFailed, match="the one-time code was refused twice; check FORGEJO_ADMIN_TOTP_SECRET"):
            sign_in(transport, credentials, clock)


def test_a_security_key(unique: str) -> None:
    assert "security key" in refusal("v15", unique, user={"webauthn": True})


@pytest.mark.parametrize("version", MAIN)
def test_secure_cookies_and_a_sub_path(version: str, unique: str) -> None:
    """ROOT_URL is https, the upstream is plain http: the cookies are `Secure` and must be sent all the same."""
    with alone(version, root_url="https://forge.example/sub/") as (double, url):
        demo = sample(double.world, unique)
        header = {"Authorization": f"token {demo.writer}"}
        info = requests.get(f"{url}{demo.base}/latest", headers=header, timeout=20)
        assert info.status_code == 200, info.text
        assert info.json()["html_url"].startswith(f"{url}/sub/")
        rerun = requests.post(f"{url}{demo.base}/1/rerun", headers=header, timeout=20)
        assert rerun.status_code == 201, rerun.text


def test_an_upgrade_under_a_running_proxy(unique: str) -> None:
    with alone("v7") as (double, url):
        demo = sample(double.world, unique)
        header = {"Authorization": f"token {demo.reader}"}
        for version in VERSIONS:
            double.version = version
            double.restart()
            answer = requests.get(f"{url}{demo.base}/1/logs", headers=header, timeout=20)
            assert answer.content == demo.runs["green"].jobs[0].log_bytes(), version
            assert requests.get(f"{url}{demo.base}/2/summary", headers=header, timeout=20).status_code == 200


@pytest.mark.parametrize(
    ("moment", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")]
)
def test_totp_is_rfc_6238(moment: int, code: str) -> None:
    assert totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", moment) == code
