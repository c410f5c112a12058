"""Our routes in Forgejo's own description of its API: all of its own stays, and what isn't expected stays as it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from mitmproxy import http

from addon.proxy import swagger
from addon.settings import Settings
from tests.double import Double
from tests.support.proxy import Proxy, start_proxy

SETTINGS = Settings("http://unused")
RUNS = "/repos/{owner}/{repo}/actions/runs"
# Forgejo 17's routes that the extension answers by default: it describes them in its own words.
OURS_TOO = {f"{RUNS}/{{run_id}}/{name}" for name in ("jobs", "logs", "artifacts", "cancel", "rerun")}
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with Double("v16") as double:
        yield double


@pytest.fixture(scope="module")
def merging(double: Double) -> Iterator[Proxy]:
    with start_proxy(double.url, options={"actions_swagger": "true"}) as proxy:
        yield proxy


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(f"{url}/swagger.v1.json", headers=PLAIN | headers, timeout=20)


@pytest.mark.parametrize("version", ["v7", "v11", "v17"])
@pytest.mark.parametrize("packed", [False, True])
def test_all_of_forgejos_is_there_and_ours_behind_it(
    double: Double, merging: Proxy, version: str, packed: bool
) -> None:
    double.version, double.settings.gzip = version, packed
    encoding = {"Accept-Encoding": "gzip"} if packed else {}
    own, answer = get(double.url, **encoding).json(), get(merging.url, **encoding)
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert not answer.headers.keys() & {"Content-Length", "ETag", "Last-Modified"}
    found = answer.json()
    for key, value in own.items():
        if key not in ("paths", "definitions"):
            assert found[key] == value
    kept = {"paths": {path: item for path, item in own["paths"].items() if path not in OURS_TOO}}
    for kind, theirs in (kept | {"definitions": own["definitions"]}).items():
        assert {name: found[kind][name] for name in theirs} == theirs
        assert list(found[kind])[: len(theirs)] == list(theirs)
    assert f"{RUNS}/latest" in found["paths"] and f"{RUNS}/by-number/{{run}}/jobs" in found["paths"]
    templates = [swagger.PARAMETER.sub("{}", path) for path in found["paths"]]
    assert len(set(templates)) == len(templates), "no path is there twice by another parameter's name"
    for name, method in (("jobs", "get"), ("rerun", "post")):
        assert found["paths"][f"{RUNS}/{{run}}/{name}"][method]["tags"] == [swagger.TAG], "the extension answers it"
    assert not OURS_TOO & found["paths"].keys()
    assert (found["paths"][RUNS]["get"]["operationId"] == "ListActionRuns") is (version == "v17")
    assert set(references(found)) <= {f"#/definitions/{name}" for name in found["definitions"]} | {"#/responses/empty"}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        node = list(node.values())
    for each in node if isinstance(node, list) else []:
        yield from references(each)


def test_it_is_swagger_2() -> None:
    found = json.loads(swagger.merged(EXPECTED, SETTINGS) or b"{}")
    parameters = [each for item in found["paths"].values() for op in item.values() for each in op["parameters"]]
    bodies = [each["schema"] for each in parameters if each["in"] == "body"]
    assert {"$ref": "#/definitions/ActionsExtensionRerunBody"} in bodies
    assert all(isinstance(each["type"], str) and "schema" not in each for each in parameters if each["in"] != "body")
    assert all(isinstance(each.get("type", ""), str) for each in found["definitions"].values())
    text = json.dumps(found)
    assert '"anyOf"' not in text and '"null"' not in text and '"const"' not in text
    run = found["definitions"]["ActionsExtensionRun"]
    assert run["properties"]["created_at"] == {"format": "date-time", "type": "string", "x-nullable": True}
    rerun = found["paths"][f"{RUNS}/{{run}}/rerun"]["post"]
    assert rerun["responses"]["201"]["schema"] == {"$ref": "#/definitions/ActionsExtensionRerun"}


def test_paths_that_are_forgejos_in_native_are_not_told_as_ours() -> None:
    theirs = {path: {method: {"operationId": "theirs"} for method in ("get", "post")} for path in OURS_TOO}
    whole = {**json.loads(EXPECTED), "paths": theirs}
    native = Settings("http://unused", collisions="native")
    merged = json.loads(swagger.merged(json.dumps(whole).encode(), native) or b"{}")
    assert {path: merged["paths"][path] for path in theirs} == theirs
    found = json.loads(swagger.merged(EXPECTED, Settings("http://unused", collisions="native")) or b"{}")
    assert f"{RUNS}/{{run}}/jobs/{{job}}" not in found["paths"]
    for path in ("latest/jobs/{job}", "by-number/{run}/jobs/{job}", "{run}/summary"):
        assert f"{RUNS}/{path}" in found["paths"]


@pytest.mark.parametrize(
    ("version", "there"), [("11.0.15", False), ("12.0.4", True), ("15.0.3", True), ("17.0.0", False)]
)
def test_routes_by_job_id_are_added_where_forgejo_lacks_them(version: str, there: bool) -> None:
    whole = {**json.loads(EXPECTED), "info": {"version": version}}
    found = json.loads(swagger.merged(json.dumps(whole).encode(), SETTINGS) or b"{}")["paths"]
    assert {path for path in found if "/actions/jobs/" in path} == {
        f"/repos/{{owner}}/{{repo}}/actions/jobs/{{job_id}}{tail}" for tail in ("", "/logs", "/rerun") if there
    }
    assert not OURS_TOO & found.keys()


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("11.0.15", ""),
        ("12.0.4", "jobs logs artifacts cancel rerun"),
        ("16.0.0", "rerun"),
        ("17.0.0", ""),
    ],
)
def test_routes_by_run_id_are_added_in_native_where_forgejo_lacks_them(version: str, names: str) -> None:
    whole = {**json.loads(EXPECTED), "info": {"version": version}}
    native = Settings("http://unused", collisions="native")
    found = json.loads(swagger.merged(json.dumps(whole).encode(), native) or b"{}")["paths"]
    assert OURS_TOO & found.keys() == {f"{RUNS}/{{run_id}}/{name}" for name in names.split()}


EXPECTED = b'{"swagger":"2.0","basePath":"/api/v1","paths":{},"definitions":{}}'
OTHERS = [
    b"", b"[]", b"null", b"no JSON", EXPECTED[:-1], EXPECTED.replace(b"2.0", b"3.0"), EXPECTED.replace(b"/api/v1", b"/"),
    b'{"swagger":"2.0","basePath":"/api/v1","paths":[],"definitions":{}}', b'{"swagger":"2.0"}', b"\xff", b"[" * 100_000,
    b'{"swagger":"2.0","basePath":"/api/v1","paths":{"/a":null},"definitions":{}}',
]  # fmt: skip


@pytest.mark.parametrize("body", OTHERS, ids=range(len(OTHERS)))
def test_another_body_stays_as_it_is(body: bytes) -> None:
    assert swagger.merged(body, SETTINGS) is None
    for whole, packed in (
        (body, False),
        (gzip.compress(body), True),
        (b"not gzip", True),
        (gzip.compress(body)[:-4], True),
    ):
        merging = swagger.Merging(packed, SETTINGS)
        parts = [merging(whole[at : at + 7]) for at in range(0, len(whole), 7)] + [merging(b"")]
        assert b"".join(b"".join(each) for each in parts) == whole


def test_one_that_is_too_large_goes_on_as_it_comes() -> None:
    merging = swagger.Merging(False, SETTINGS)
    part = b" " * (3 << 20)
    sent = [merging(part) for _ in range(4)]
    assert [sum(map(len, each)) for each in sent] == [0, 0, 9 << 20, 3 << 20] and merging(b"") == []
    bomb = gzip.compress(EXPECTED + b" " * (9 << 20))
    merging = swagger.Merging(True, SETTINGS)
    assert merging(bomb) == [] and merging(b"") == [bomb]


@pytest.mark.parametrize(
    ("status", "headers", "taken"),
    [
        (200, {"Content-Type": "application/json", "ETag": '"1"', "Content-Length": "9"}, True),
        (200, {"Content-Type": "application/json; charset=utf-8", "Content-Encoding": "gzip"}, True),
        (200, {"Content-Type": "application/json", "Content-Encoding": "br", "ETag": '"1"'}, False),
        (200, {"Content-Type": "application/json", "Content-Length": str(9 << 20), "ETag": '"1"'}, False),
        (200, {"Content-Type": "text/html", "ETag": '"1"'}, False),
        (404, {"Content-Type": "application/json", "ETag": '"1"'}, False),
    ],
)
def test_an_answer_that_can_hold_ours_loses_what_told_its_copies_apart(
    status: int, headers: dict[str, str], taken: bool
) -> None:
    response = http.Response.make(status, b"", headers)
    response.headers = http.Headers([(name.encode(), value.encode()) for name, value in headers.items()])
    before = dict(response.headers)
    swagger.take(response, SETTINGS)
    if taken:
        assert "ETag" not in response.headers and "Content-Length" not in response.headers
        assert response.headers["Transfer-Encoding"] == "chunked" and callable(response.stream)
    else:
        assert dict(response.headers) == before and not callable(response.stream)


def test_conditions_are_not_passed_on(double: Double, merging: Proxy) -> None:
    double.version = "v15"
    double.forget_requests()
    asked = {"If-None-Match": '"1"', "If-Modified-Since": "Tue, 24 Nov 2026 16:00:00 GMT", "Range": "bytes=0-1"}
    assert get(merging.url, **asked).status_code == 200
    seen = double.requests[-1]
    assert seen.path == "/swagger.v1.json" and not seen.headers.keys() & asked.keys()


def test_it_is_off_by_default_and_nothing_else_is_touched(double: Double, merging: Proxy) -> None:
    double.version, double.settings.gzip = "v15", False
    with start_proxy(double.url) as plain:
        assert get(plain.url).content == get(double.url).content
    for path in ("/swagger.v1.json/", "/api/swagger.v1.json", "/api/v1/version", "/x/swagger.v1.json"):
        through, direct = (requests.get(base + path, timeout=20) for base in (merging.url, double.url))
        assert (through.status_code, through.content) == (direct.status_code, direct.content)
    head = requests.head(f"{merging.url}/swagger.v1.json", timeout=20)
    assert (head.status_code, head.content) == (200, b"")
