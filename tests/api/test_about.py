"""The extension's pages about itself: what it tells of this Forgejo, the description as JSON and as a page."""

from __future__ import annotations

import re

import pytest
import requests

from addon.api.about import index, openapi, reference
from addon.settings import Settings
from tests.conftest import Target
from tests.support import contract
from tests.support.sample import Sample

OWN = "/api/v1/actions-extensions"
SETTINGS = Settings("http://unused")


def test_the_index_tells_what_this_forgejo_has(target: Target, demo: Sample) -> None:
    told = target.request("GET", OWN).json()
    assert told["forgejo"] == {"version": target.world.version.reported, "major": target.number}
    has = told["capabilities"]
    version = target.world.version
    assert (has["attempts"], has["native_routes"]) == (version.attempts, version.native_jobs)
    assert has["native_rerun"] == version.native_rerun
    assert (has["native_runs_list"], has["run_ids"]) == (version.runs_route, version.runs_route)
    assert (has["artifact_ranges"], has["events"]) == (version.artifact_ranges, version.tasks_route)
    assert has["rerun_deletes_artifacts"] == version.rerun_guards
    assert told["options"]["max_wait_seconds"] == 300
    for url in (told["links"]["docs"], told["links"]["openapi"], told["links"]["health"]):
        assert requests.get(url, timeout=20).status_code == 200


def test_the_version_is_asked_with_the_callers_credentials(target: Target, demo: Sample) -> None:
    target.double.settings.REQUIRE_SIGNIN_VIEW = True
    try:
        assert target.request("GET", OWN).json()["forgejo"] == {"version": None, "major": None}
        assert target.request("GET", OWN, "f" * 40).json()["capabilities"]["attempts"] is None
        assert target.request("GET", OWN, demo.stranger).json()["forgejo"]["major"] == target.number
        assert target.request("GET", f"{OWN}?token={demo.stranger}").json()["forgejo"]["major"] == target.number
    finally:
        target.double.settings.REQUIRE_SIGNIN_VIEW = False


def test_an_unknown_version_makes_nothing_up() -> None:
    told = index.index(None, SETTINGS, "http://forge.example")
    assert set(told["capabilities"].values()) == {None}
    assert told["links"]["docs"] == "http://forge.example/api/v1/actions-extensions/docs"


def test_the_description_is_served_with_this_proxys_limits(target: Target) -> None:
    answer = target.request("GET", f"{OWN}/openapi.json")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json() == openapi.document(300, "extension")
    assert answer.json()["components"]["parameters"]["wait"]["schema"]["maximum"] == 300
    assert target.request("HEAD", f"{OWN}/openapi.json").content == b""
    assert target.request("POST", f"{OWN}/openapi.json").headers["Allow"] == "GET, HEAD"


def test_the_page_loads_and_runs_nothing(target: Target) -> None:
    answer = target.request("GET", f"{OWN}/docs")
    assert answer.status_code == 200 and answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    html = answer.text
    assert not re.search(r"<script|<link|<img|<iframe|\bstyle=|\bon\w+=|javascript:|@import|url\(", html)
    for path in openapi.document(300, "extension")["paths"]:
        assert path in html
    for name in openapi.document(300, "extension")["components"]["schemas"]:
        assert f'id="object-{name}"' in html
    assert "::error file=app.py,line=3::message" in html


def test_the_pages_texts_are_escaped() -> None:
    html = reference.page(300, "extension").html
    assert "&lt;==" in html and "<==" not in html


def test_an_unknown_page_names_those_there_are(target: Target) -> None:
    answer = target.request("GET", f"{OWN}/swagger")
    assert answer.status_code == 404 and "openapi.json" in answer.json()["message"]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda run: run.pop("event"), "event"),
        (lambda run: run.update(more=1), "more"),
        (lambda run: run.update(status="odd"), "odd"),
        (lambda run: run.update(created_at="yesterday"), "yesterday"),
        (lambda run: run.update(id=None, done=None), "None|null"),
    ],
)
def test_the_check_of_answers_sees_what_is_wrong(change: object, wrong: str) -> None:
    run = dict(openapi.document(300, "extension")["components"]["examples"]["run"]["value"])
    schema = {"$ref": "#/components/schemas/Run"}
    assert contract.errors(schema, run) == []
    change(run)  # type: ignore[operator]
    assert re.search(wrong, " ".join(contract.errors(schema, run)))


def test_the_check_of_answers_sees_undescribed_statuses_and_types() -> None:
    answer = requests.Response()
    answer.status_code, answer._content, answer.url = 418, b"", "http://here/"
    answer._content_consumed = True
    answer.headers["X-Actions-Extension"], answer.headers["X-Actions-Run"] = "1", "1"
    target = "/api/v1/repos/a/b/actions/runs/1/jobs"
    with pytest.raises(AssertionError, match="418 is not described"):
        contract.check("GET", target, answer)
    answer.status_code, answer.headers["Content-Type"] = 200, "text/html"
    with pytest.raises(AssertionError, match="text/html is not described"):
        contract.check("GET", target, answer)
