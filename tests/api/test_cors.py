"""Requests of browsers' pages of another origin: answered like Forgejo's own API, and not at all without `[cors]`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.double import Double
from tests.double.cors import Cors
from tests.support.proxy import start_proxy
from tests.support.sample import Sample, sample

PAGE = "https://page.example"
ANSWERS = ("Vary", "Access-Control-Allow-")


class Site:
    """A stand-in with the proxy before it, and a repository."""

    def __init__(self, double: Double, url: str, demo: Sample) -> None:
        self.double, self.url, self.demo = double, url, demo

    def ask(self, method: str, url: str, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, url, headers=named, timeout=20)

    def preflight(self, path: str, method: str, wanted: str, base: str = "", origin: str = PAGE) -> dict[str, str]:
        """Status and headers of the answer that matter to a browser, and whether it claims to have a body."""
        named = {"Access_Control_Request_Method": method, "Access_Control_Request_Headers": wanted}
        answer = self.ask("OPTIONS", (base or self.url) + path, Origin=origin, **named)
        return told(answer) | {"body": answer.headers.get("Content-Type", "none")}


def told(answer: requests.Response) -> dict[str, str]:
    found = {name: value for name, value in answer.headers.items() if name == "Vary" or "Access-Control" in name}
    return {"status": str(answer.status_code), **found}


@pytest.fixture(scope="module", params=["v7", "v15"])
def stage(request: pytest.FixtureRequest) -> Iterator[Site]:
    with Double(version=request.param) as double:
        admin = double.world.admin
        with start_proxy(double.url, admin=(admin.name, admin.password)) as proxy:
            yield Site(double, proxy.url, sample(double.world, "x"))


CONFIGURED = [
    Cors(),
    Cors(ALLOW_DOMAIN=[PAGE], ALLOW_CREDENTIALS=True, MAX_AGE=60),
    Cors(ALLOW_DOMAIN=["https://other.example"]),
    Cors(METHODS=["GET"], HEADERS=[]),
]


@pytest.mark.parametrize("cors", CONFIGURED)
def test_a_preflight_is_answered_as_forgejo_answers_it(stage: Site, cors: Cors) -> None:
    stage.double.settings.cors = cors
    for method, wanted in (("GET", "authorization"), ("POST", "authorization,content-type"), ("POST", "x-strange")):
        forgejos = stage.preflight("/api/v1/version", method, wanted, stage.double.url)
        assert forgejos["status"] == "200"
        for tail in ("1/logs", "latest", "2/rerun", "by-number/2/jobs/test"):
            assert stage.preflight(f"{stage.demo.base}/{tail}", method, wanted) == forgejos
        assert stage.preflight("/api/v1/actions-extensions", method, wanted) == forgejos


@pytest.mark.parametrize("cors", CONFIGURED)
def test_a_response_may_be_read_where_forgejos_may(stage: Site, cors: Cors) -> None:
    stage.double.settings.cors = cors
    forgejos = told(stage.ask("GET", f"{stage.double.url}/api/v1/version", Origin=PAGE))
    token = f"token {stage.demo.reader}"
    for tail, status in (("1/logs", "200"), ("1/jobs", "200"), ("99/logs", "404"), ("1/logs?tail=x", "400")):
        answer = stage.ask("GET", f"{stage.url}{stage.demo.base}/{tail}", Origin=PAGE, Authorization=token)
        listed = {"Access-Control-Expose-Headers": "X-Total-Count"} if tail == "1/jobs" else {}  # as Forgejo's lists
        assert told(answer) == forgejos | listed | {"status": status}
    answer = stage.ask("GET", f"{stage.url}{stage.demo.base}/2/summary", Origin=PAGE, Authorization=token)
    assert {part.strip() for part in answer.headers["Vary"].split(",")} == {"Accept", "Origin"}
    assert "Access-Control-Allow-Origin" not in stage.ask("GET", f"{stage.url}{stage.demo.base}/1/logs").headers


def test_without_cors_nothing_changes(stage: Site) -> None:
    stage.double.settings.cors = None
    for tail, allow in (("1/logs", "GET, HEAD"), ("2/rerun", "POST")):
        url = f"{stage.url}{stage.demo.base}/{tail}"
        answer = stage.ask("OPTIONS", url, Origin=PAGE, Access_Control_Request_Method="GET")
        assert told(answer) == {"status": "405"} and answer.headers["Allow"] == allow
        assert told(stage.ask("OPTIONS", url)) == {"status": "405"}
    token = f"token {stage.demo.reader}"
    answer = stage.ask("GET", f"{stage.url}{stage.demo.base}/1/logs", Origin=PAGE, Authorization=token)
    assert told(answer) == {"status": "200"}
