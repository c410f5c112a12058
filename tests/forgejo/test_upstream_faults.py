"""Forgejo down, slow or talking nonsense: an error of the table, and never somebody else's answer."""

from __future__ import annotations

import pytest
import requests

from tests.conftest import Target
from tests.double import Double, Fault
from tests.support.proxy import start_proxy
from tests.support.sample import Sample, sample

PROBE = r"^GET /api/v1/repos/{repo}"
PAGE = r"^(GET|POST) /{repo}/actions/runs"
LOG = r"^GET /{repo}/.*/logs"


@pytest.mark.parametrize("where", [PROBE, PAGE, LOG])
@pytest.mark.parametrize(
    ("kind", "value", "statuses"),
    [
        ("status", 500, {502, 404}),
        ("html", None, {502}),
        ("json", {"unexpected": True}, {502}),
        ("json", [], {502}),
        ("drop", None, {502}),
        ("redirect", "http://evil.example/o/r/actions/runs/1", {502}),
        ("endless", None, {502}),
    ],
)
def test_nonsense_is_never_passed_on(
    target: Target, demo: Sample, where: str, kind: str, value: object, statuses: set[int]
) -> None:
    match = where.format(repo=demo.repo.full_name)
    fault = Fault(match=match, kind=kind, value=value, times=99)
    target.double.faults.append(fault)
    try:
        answer = target.request("GET", f"{demo.base}/1/logs", demo.reader)
        assert answer.status_code in statuses, answer.text[:300]
        assert answer.json()["message"]
        assert "X-Actions-Extension" in answer.headers
    finally:
        target.double.faults.remove(fault)
    assert target.request("GET", f"{demo.base}/1/logs", demo.reader).status_code == 200


def test_a_page_of_another_repository_is_refused(target: Target, demo: Sample) -> None:
    """Where Forgejo points is only believed within the repository that access was granted for."""
    elsewhere = f"{target.double.url}/other/demo/actions/runs/3"
    if target.number >= 15:
        pytest.skip("the API tells the newest run")
    path = f"/{demo.repo.full_name}/actions/runs/latest"
    target.double.faults.append(Fault(match=f"^GET {path}", kind="redirect", value=elsewhere))
    answer = target.request("GET", f"{demo.base}/latest/logs", demo.reader)
    assert answer.status_code == 502 and "another repository" in answer.json()["message"]


def test_upstream_down_and_slow(unique: str) -> None:
    with Double(version="v15") as double:
        demo = sample(double.world, unique)
        admin = double.world.admin
        header = {"Authorization": f"token {demo.reader}"}
        with start_proxy(double.url, admin=(admin.name, admin.password), options={"actions_timeout": "1"}) as proxy:
            url = f"{proxy.url}{demo.base}/1/logs"
            assert requests.get(url, headers=header, timeout=20).status_code == 200
            double.faults.append(Fault(match=r"^GET /api/v1/repos", kind="delay", value=3))
            assert requests.get(url, headers=header, timeout=20).status_code == 504
            double.stop()
            down = requests.get(url, headers=header, timeout=20)
            assert down.status_code == 502 and "reached" in down.json()["message"]
            double.start()
            assert requests.get(url, headers=header, timeout=20).status_code == 200
