"""Planted secrets are looked for wherever something is said, shown or saved, at the highest verbosity."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from mitmproxy import http
from mitmproxy import io as flow_io
from mitmproxy.test.tflow import tflow

from addon import ROOT
from addon.api.about import openapi
from addon.proxy import redact
from tests.double import Double, Fault
from tests.double.sessions import Session
from tests.support.proxy import Proxy, raw, start_proxy
from tests.support.sample import Sample, sample

LOUD = {"termlog_verbosity": "debug", "flow_detail": 4}
WEB_PASSWORD = "for-the-test"
# What else clients of Forgejo send: runners, its own processes, webhooks, OAuth clients, artifact uploads.
HEADERS = (
    "X-Runner-Token", "X-Gitea-Internal-Auth", "Private-Token", "X-Hub-Signature-256", "X-Api-Key", "X-Session-Id",
    "Proxy-Authorization", "X-Forgejo-OTP", "X-Csrf-Token", "X-Secret", "X-Password",
)  # fmt: skip
PARAMETERS = (
    "code", "state", "sig", "X-Amz-Signature", "private_token", "client_secret", "api_key", "password", "_csrf",
    "access_token", "code_verifier", "session_id", "cookie", "authorization", "pri%76ate_t%6fken",
)  # fmt: skip


class Story:
    """Requests of every kind through one proxy, and the secrets that they bring along."""

    def __init__(self, double: Double, proxy: Proxy) -> None:
        self.double, self.proxy = double, proxy
        self.demo: Sample = sample(double.world, "secrets")
        owner, writer = self.demo.repo.owner, double.world.users["writer-secrets"]
        basic = base64.b64encode(f"{owner.name}:{owner.password}".encode()).decode()
        self.cookie = double.sessions.begin(Session(user=writer))
        self.callers = {
            "owner": self.demo.owner, "writer": self.demo.writer, "reader": self.demo.reader,
            "stranger": self.demo.stranger, "basic": basic, "password": owner.password, "cookie": self.cookie,
        }  # fmt: skip
        self.heard: list[bytes] = []

    def secrets(self) -> dict[str, str]:
        """By name; the administrator's sessions are those that the stand-in has begun."""
        admin, sessions = self.double.world.admin, self.double.sessions
        found = {
            **self.callers,
            "admin's password": admin.password,
            "remember cookie": next(iter(sessions.remembered), ""),
        }
        for number, (key, session) in enumerate(sessions._sessions.items()):
            if session.user is admin:
                found[f"admin's session {number}"] = key
        if self.double.world.version.csrf_token:
            found["admin's CSRF token"] = sessions.csrf(admin)
        return {name: value for name, value in found.items() if value}

    def tell(self) -> None:
        """Good and bad requests, lost sessions, faults, and a killed application."""
        for path in ("latest", "1/logs", "2/jobs?job=0", "1/summary", "2/summary", "9/logs", "x/logs", "1/logs?job=9"):
            for token in (self.demo.reader, self.demo.stranger):
                self.ask("GET", f"{self.demo.base}/{path}", {"Authorization": f"token {token}"})
        for name in ("token", "access_token", "%74oken"):
            self.ask("GET", f"{self.demo.base}/1/logs?{name}={self.demo.owner}")
            self.ask("GET", f"/api/v1/repos/{self.demo.repo.full_name}?{name}={self.demo.owner}")
        self.ask("GET", f"{self.demo.base}/1/jobs", {"Authorization": f"Basic {self.callers['basic']}"})
        self.ask("POST", f"{self.demo.base}/1/rerun", {"Authorization": f"Bearer {self.demo.writer}"})
        cookie = {"Cookie": f"{self.double.world.version.session_cookie}={self.cookie}"}
        self.ask("GET", f"/{self.demo.repo.full_name}/actions", cookie)
        self.ask("GET", f"{self.demo.base}/1/logs", cookie)
        self.plant()
        self.sign_in()
        self.double.restart()
        self.trouble()
        self.kill_application()

    def plant(self) -> None:
        """One secret of each kind, to Forgejo and to the extension: as header, parameter, referrer and redirect."""
        for path in (f"/{self.demo.repo.full_name}", f"{self.demo.base}/latest"):
            headers = {name: self.planted(name) for name in HEADERS}
            query = "&".join(f"{name}={self.planted(name)}" for name in PARAMETERS)
            headers["Referer"] = (
                f"https://forge.example/x?innocent={self.planted('referer')}#{self.planted('fragment')}"
            )
            self.ask("GET", f"{path}?{query}", headers)
            self.ask("GET", path, {"Referer": f"https://forge.example/x#{self.planted('only a fragment')}"})
        target = f"https://app.example/?code={self.planted('redirect')}#access_token={self.planted('implicit')}"
        self.double.faults.append(Fault(match="^GET /login/oauth", kind="redirect", value=target))
        redirect = requests.get(f"{self.proxy.url}/login/oauth/authorize", timeout=20, allow_redirects=False)
        assert redirect.headers["Location"] == target, "the client did not get its code"

    def planted(self, what: str) -> str:
        """A further secret."""
        secret = f"planted-{len(self.callers)}-x"
        self.callers[f"{what} {len(self.callers)}"] = secret
        return secret

    def sign_in(self) -> None:
        """As a browser does. The answer has no body, and its cookies are for the client alone."""
        owner, name = self.demo.repo.owner, self.double.world.version.session_cookie
        form = {"user_name": owner.name, "password": owner.password, "remember": "on"}
        answer = requests.post(f"{self.proxy.url}/user/login", form, timeout=20, allow_redirects=False)
        self.callers["session"] = answer.cookies[name]
        assert self.double.sessions.find(answer.cookies[name]), "the client did not get its session"

    def trouble(self) -> None:
        """What a broken Forgejo makes the extension say."""
        header = {"Authorization": f"token {self.demo.reader}"}
        for kind, value in (("drop", None), ("html", None), ("json", []), ("truncate", None), ("status", 500)):
            for where in (r"^GET /api/v1/repos", r"^(GET|POST) /user/login", r"/actions/runs/1/jobs"):
                fault = Fault(match=where, kind=kind, value=value)
                self.double.faults.append(fault)
                self.ask("GET", f"{self.demo.base}/1/logs", header)
                self.double.faults[:] = []

    def kill_application(self) -> None:
        """A request that fails in the proxy itself, and the application's return."""
        header = {"Authorization": f"token {self.demo.reader}"}
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.proxy.process.pid)], capture_output=True, text=True, check=True
        )
        child = int(children.stdout.split()[0])
        os.kill(child, signal.SIGSTOP)  # it takes the request, and then it is gone
        try:
            request = f"GET {self.demo.base}/1/logs?token={self.demo.owner} HTTP/1.1\r\nHost: x\r\n".encode()
            with socket.create_connection(("127.0.0.1", int(self.proxy.url.rpartition(":")[2]))) as client:
                client.sendall(request + f"Authorization: token {self.demo.reader}\r\n\r\n".encode())
                time.sleep(0.5)
        finally:
            os.kill(child, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while (answer := self.ask("GET", f"{self.demo.base}/2/logs", header)).status_code != 200:
            assert time.monotonic() < deadline, f"not back: {answer.text} {self.proxy.log()[-2000:]}"
            time.sleep(0.2)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        """A request whose whole answer is kept, headers too, unless it is one of Forgejo's own."""
        answer = requests.Response()
        try:
            answer = requests.request(method, self.proxy.url + path, headers=headers or {}, timeout=20)
        except requests.RequestException:
            return answer  # a log that broke off
        if "X-Actions-Extension" in answer.headers:
            self.heard.append(json.dumps(dict(answer.headers)).encode() + answer.content)
        return answer


def found_in(haystack: bytes, secrets: dict[str, str]) -> list[str]:
    """The names of the secrets that are in it."""
    return [name for name, value in secrets.items() if value.encode() in haystack]


@pytest.fixture(params=["v7", "v15"])
def double(request: pytest.FixtureRequest) -> Iterator[Double]:
    with Double(version=request.param) as double:
        yield double


def test_nothing_is_said_or_saved(double: Double, tmp_path: Path) -> None:
    saved, admin = tmp_path / "flows", double.world.admin
    loud = {"ACTIONS_LOG_LEVEL": "DEBUG"}
    options = {**LOUD, "save_stream_file": str(saved)}
    with start_proxy(double.url, (admin.name, admin.password), options, loud) as proxy:
        story = Story(double, proxy)
        story.tell()
        proxy.stop()
        secrets = story.secrets()
        assert len(secrets) >= 9
        assert found_in(proxy.log().encode(), secrets) == []
        assert found_in(saved.read_bytes(), secrets) == []
        assert found_in(b"\n".join(story.heard), secrets) == []
        assert "signed in to Forgejo" in proxy.log() and len(story.heard) > 20
    with saved.open("rb") as file:
        flows = [flow for flow in flow_io.FlowReader(file).stream() if isinstance(flow, http.HTTPFlow)]
    assert any(flow.request.headers.get("Authorization") == redact.REDACTED for flow in flows)
    assert any("token=[redacted]" in flow.request.path for flow in flows)
    assert any(flow.error for flow in flows), "no request failed in the proxy"


@pytest.mark.parametrize("double", ["v15"], indirect=True)
def test_mitmweb_shows_none(double: Double) -> None:
    admin = double.world.admin
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {**LOUD, "web_port": port, "web_open_browser": False, "web_password": WEB_PASSWORD}
    with start_proxy(double.url, (admin.name, admin.password), options, program="mitmweb") as proxy:
        story = Story(double, proxy)
        story.tell()
        for page in ("flows", "events", "options", "state"):
            shown = requests.get(f"http://127.0.0.1:{port}/{page}", params={"token": WEB_PASSWORD}, timeout=20)
            assert shown.status_code == 200
            assert found_in(shown.content, story.secrets()) == [], page
            if page == "flows":
                assert len(shown.json()) > 20 and redact.REDACTED in shown.text


@pytest.mark.parametrize(
    ("options", "request_head"),
    [
        (
            {},
            b"GET /x?token=planted-secret HTTP/1.1 extra\r\nHost: x\r\n\r\n",
        ),  # mitmproxy quotes it when told to be loud
        (LOUD, b"GET /x HTTP/1.1\r\nHost: x\r\nAuthorization : token planted-secret\r\n\r\n"),
        (LOUD, b"GET /x?token=planted-secret HTTP/1.1\r\nHost: x\r\nBad header: x\r\n\r\n"),
    ],
)
def test_a_malformed_request_is_not_quoted(options: dict[str, object], request_head: bytes) -> None:
    """mitmproxy refuses it before the addon is asked."""
    with start_proxy("http://127.0.0.1:9", options=options) as proxy:
        assert b" 400 " in raw(proxy, request_head)[:20]
        assert raw(proxy, b"GET /api/v1/repos/o/r/actions/runs/0/logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert "planted-secret" not in proxy.log()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/x", "/x"),
        ("/x?a=1&token=s&b=2", "/x?a=1&token=[redacted]&b=2"),
        ("/x?token=s#access_token=s", "/x?token=[redacted]#access_token=[redacted]"),
        ("/x?to%6ben=s;access%5Ftoken=s", "/x?to%6ben=[redacted];access%5Ftoken=[redacted]"),
        ("/x?workflow_id=1&token", "/x?workflow_id=1&token"),
        ("/x?token=a=b?token=c", "/x?token=[redacted]?token=[redacted]"),
        ("/x#id_token=s", "/x#id_token=[redacted]"),
    ],
)
def test_a_target_without_its_tokens(path: str, shown: str) -> None:
    assert redact.target(path) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://s3.example/a.zip?se=300&sig=0f", "https://s3.example/a.zip?se=300&sig=[redacted]"),
        ("https://forge.example/org/repo?tab=signature", "https://forge.example/org/repo?tab=signature"),
        ("/user/login", "/user/login"),
    ],
)
def test_a_redirect_without_its_signature(url: str, shown: str) -> None:
    flow = tflow(resp=True)
    assert flow.response is not None
    flow.response.headers["Location"] = url
    redact.response(flow)
    assert flow.response.headers["Location"] == shown


def test_the_extensions_own_parameters_are_shown() -> None:
    parameters = openapi.document(300, "extension")["components"]["parameters"].values()
    assert len(parameters) > 20
    for name in (each["name"] for each in parameters):
        assert redact.target(f"/x?{name}=1") == f"/x?{name}=1"


def test_no_secret_on_a_command_line(tmp_path: Path) -> None:
    """run.sh gives them on by the environment, which only the user's own processes can read."""
    with Double(version="v15") as double, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen, admin = f"127.0.0.1:{free.getsockname()[1]}", double.world.admin
        free.close()
        environment = {
            **os.environ, "FORGEJO_URL": double.url, "LISTEN": listen,
            "FORGEJO_ADMIN_USER": admin.name, "FORGEJO_ADMIN_PASSWORD": admin.password,
        }  # fmt: skip
        process = subprocess.Popen([ROOT / "run.sh"], env=environment, stderr=subprocess.PIPE, start_new_session=True)
        try:
            assert process.stderr is not None
            while b"listening on" not in (line := process.stderr.readline()):
                assert line, "it ended before it listened"
            lines = [_command_line(pid) for pid in _family(process.pid)]
            assert len(lines) == 2 and any("addon.api.app" in line for line in lines)
            assert admin.password not in "".join(lines)
        finally:
            process.terminate()
            process.communicate(timeout=20)


def _family(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [pid, *(other for child in found.stdout.split() for other in _family(int(child)))]


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
