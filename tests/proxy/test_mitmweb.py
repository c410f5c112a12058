"""What mitmweb shows of a request, and how many it keeps. Ordinary requests stay as they were."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from mitmproxy.test import tflow, tutils

from addon.internal_headers import TRACE_HEADER
from addon.proxy import content_view, mitmweb
from tests.double import Double, JobSpec
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample

PASSWORD = {"token": "for-the-test"}
KEPT = 10


@dataclass(frozen=True)
class Web:
    """A mitmweb before a stand-in, and its own pages at `url`."""

    double: Double
    proxy: Proxy
    demo: Sample
    url: str

    def ask(self, method: str, path: str, **headers: str) -> requests.Response:
        headers = {"Authorization": f"token {self.demo.writer}"} | headers
        return requests.request(method, self.proxy.url + path, headers=headers, timeout=20)

    def flows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.url}/flows", params=PASSWORD, timeout=20).json()
        return found

    def newest(self) -> dict[str, Any]:
        """The newest flow, once it is whole."""
        deadline = time.monotonic() + 20
        while not (flow := self.flows()[-1]).get("response", {}).get("timestamp_end"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return flow

    def shown(self, flow: dict[str, Any]) -> tuple[str, str]:
        """The name of the view that mitmweb chooses, and its text."""
        url = f"{self.url}/flows/{flow['id']}/response/content/auto.json"
        found = requests.get(url, params=PASSWORD, timeout=20).json()
        return found["view_name"], found["text"]

    def change(self, method: str, path: str, body: object) -> requests.Response:
        """What mitmweb answers to a reader with the token."""
        token = "0" * 32  # it must only be the same in both
        headers, cookies = {"X-XSRFToken": token}, {"_mitmproxy_xsrf": token}
        return requests.request(
            method, f"{self.url}/{path}", json=body, params=PASSWORD, headers=headers, cookies=cookies, timeout=20
        )

    def body(self, flow: dict[str, Any]) -> bytes:
        return requests.get(f"{self.url}/flows/{flow['id']}/response/content.data", params=PASSWORD, timeout=20).content


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "web_port": port,
        "web_open_browser": False,
        "web_password": PASSWORD["token"],
        "actions_web_flows": str(KEPT),
    }
    with Double(version="v15") as double:
        admin, demo = double.world.admin, sample(double.world, "flows")
        with start_proxy(double.url, (admin.name, admin.password), options, program="mitmweb") as proxy:
            yield Web(double, proxy, demo, f"http://127.0.0.1:{port}")


def test_an_extension_request(web: Web) -> None:
    path = f"{web.demo.base}/2/jobs?job=1&token={web.demo.reader}"
    headers = {"Host": "forge.example:8443", "X-Forwarded-Proto": "https"}
    answer = requests.get(web.proxy.url + path, headers=headers, timeout=20)
    assert answer.status_code == 200
    assert TRACE_HEADER not in answer.headers
    flow = web.newest()
    request = flow["request"]
    assert (request["scheme"], request["host"], request["pretty_host"], request["port"]) == (
        "https",
        "forge.example",
        "forge.example",
        8443,
    )
    assert request["path"] == f"{web.demo.base}/2/jobs?job=1&token=[redacted]"
    assert not [name for name, _ in request["headers"] if name.startswith("X-Actions")]
    assert flow["marked"] == "🚀"
    assert web.body(flow) == answer.content and answer.json()


def test_the_trace_is_shown_with_the_body(web: Web) -> None:
    answer = web.ask("GET", f"{web.demo.base}/2/jobs?job=test")
    flow = web.newest()
    asked = f"{web.demo.repo.full_name} runs/2/jobs job=test"
    assert re.fullmatch(
        re.escape(f"{asked} · access read: yes · ") + r"\d+ requests to Forgejo, \d+ ms", flow["comment"]
    )
    view, text = web.shown(flow)
    lines = text.splitlines()
    assert view == "Actions request" and lines[:2] == [f"request  {asked}", "access   read: yes"]
    api, page = f"/api/v1/repos/{web.demo.repo.full_name}/actions/runs", f"/{web.demo.repo.full_name}/actions/runs/2"
    assert re.fullmatch(rf" +\d+  200     caller   GET {re.escape(api)}\?.*", lines[4])
    assert any(re.fullmatch(rf" +\d+  200     session  GET {re.escape(page)}/jobs/1/attempt/1", line) for line in lines)
    body = lines.index(f"body, {len(answer.content):,} bytes:")
    assert json.loads("\n".join(lines[body + 1 :])) == answer.json()
    assert web.ask("POST", f"{web.demo.base}/2/rerun", Authorization=f"token {web.demo.reader}").status_code == 403
    assert "access   write: 403" in web.shown(web.newest())[1]


def test_of_a_log_the_start_is_kept(web: Web) -> None:
    run = web.double.world.run(web.demo.repo, jobs=[JobSpec("big")])
    web.double.world.big_log(run.jobs[0], 3 << 20)
    answer = web.ask("GET", f"{web.demo.base}/{run.index}/logs")
    assert len(answer.content) == 3 << 20
    flow = web.newest()
    assert web.body(flow) == answer.content[: mitmweb.MOST_SHOWN]
    text = web.shown(flow)[1]
    assert f"body, 3,145,728 bytes, the first {mitmweb.MOST_SHOWN:,} of them:" in text and " row 7 x" in text


def test_a_head_has_no_body(web: Web) -> None:
    with requests.Session() as session:
        for _ in range(2):  # a body after a HEAD would be taken for the next answer
            head = session.head(
                f"{web.proxy.url}{web.demo.base}/by-number/2",
                headers={"Authorization": f"token {web.demo.reader}"},
                timeout=20,
            )
            assert head.status_code == 200 and int(head.headers["Content-Length"]) > 0


def test_an_ordinary_request(web: Web) -> None:
    """Nothing of it is changed, or asked for."""
    answer = web.ask("GET", "/api/v1/version", **{TRACE_HEADER: "wanted"})
    flow = web.newest()
    assert (flow["marked"], flow["comment"]) == ("", "") and TRACE_HEADER not in answer.headers
    assert flow["request"]["port"] == int(web.double.url.rpartition(":")[2])
    assert web.double.requests[-1].headers[TRACE_HEADER] == "wanted"


def test_the_oldest_go(web: Web) -> None:
    for number in range(2 * KEPT):
        web.ask("GET", f"/x/{number}")
    web.newest()
    paths = [flow["request"]["path"] for flow in web.flows()]
    assert paths == [f"/x/{number}" for number in range(KEPT, 2 * KEPT)]


def test_options_at_run_time(web: Web) -> None:
    """Only what concerns mitmweb changes; for the rest the answer says what to do."""

    def put(**options: str) -> requests.Response:
        return web.change("PUT", "options", options)

    refused = put(actions_timeout="7")
    assert refused.status_code == 400 and "by a restart only" in refused.text
    assert web.ask("GET", f"{web.demo.base}/by-number/2").status_code == 200
    assert put(actions_web_flows="some").status_code == 400
    assert put(actions_web_flows="20").status_code == 200
    assert put(actions_web_flows=str(KEPT)).status_code == 200


def test_the_token_is_no_login(web: Web, tmp_path: Path) -> None:
    """It runs no code and touches no file, neither by an option nor by a command."""
    script, made = tmp_path / "script.py", tmp_path / "made"
    script.write_text(f"open({str(made)!r}, 'w')\n")
    for options in (
        {"scripts": [str(script)]},
        {"save_stream_file": str(made)},
        {"hardump": str(made)},
        {"map_local": [f"/x/{script}"]},
        {"mode": ["regular@127.0.0.1:0"]},
        {"block_list": []},
    ):
        refused = web.change("PUT", "options", options)
        assert refused.status_code == 400 and "by a restart only" in refused.text, options
    for command, arguments in (
        ("script.run", ["@all", str(script)]),
        ("save.file", ["@all", str(made)]),
        ("export.file", ["raw", "@focus", str(made)]),
        ("cut.save", ["@all", "request.path", str(made)]),
        ("options.save", [str(made)]),
        ("options.load", [str(script)]),
        ("view.flows.load", [str(script)]),
        ("set", ["scripts", str(script)]),
        ("options.reset", []),
    ):
        refused = web.change("POST", f"commands/{command}", {"arguments": arguments})
        assert "error" in refused.json() or refused.status_code >= 400, command
    assert not made.exists()
    assert web.ask("GET", f"{web.demo.base}/by-number/2").status_code == 200


def test_without_mitmweb_nothing_is_asked_for(web: Web) -> None:
    """Not even when a client asks: what Forgejo was asked is none of its business."""
    admin = web.double.world.admin
    with start_proxy(web.double.url, (admin.name, admin.password)) as proxy:
        headers = {"Authorization": f"token {web.demo.reader}", TRACE_HEADER: "wanted"}
        answer = requests.get(f"{proxy.url}{web.demo.base}/by-number/2", headers=headers, timeout=20)
        assert answer.status_code == 200 and TRACE_HEADER not in answer.headers


@pytest.mark.parametrize(
    "record", ["", "[]", "{}", "null", json.dumps({"asked": "x", "access": None, "forgejo": [[1]], "more": 0})]
)
def test_a_malformed_trace_is_none(record: str) -> None:
    assert content_view.parsed(record) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("forge.example", "http://forge.example/x"),
        ("a/b", "http://a/b/x"),
        ("x:99999", None),
        (None, "http://127.0.0.1:8080/x"),
    ],
)
def test_the_url_that_was_asked_for(host: str | None, url: str | None) -> None:
    request = tutils.treq(host="127.0.0.1", port=5, path=b"/x", authority=b"")
    flow = tflow.tflow(req=request)
    flow.client_conn.sockname = ("127.0.0.1", 8080)
    request.headers.set_all("Host", [host] if host else [])
    mitmweb.restore(flow)
    assert request.headers.get_all("Host") == ([host] if host else [])
    assert url is None or request.url == url
