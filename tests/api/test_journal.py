"""What operators get to see: a line for each request, counters, and whether all is well."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from addon import journal, trace
from addon.api import routes
from addon.api.about.health import Health
from addon.errors import UpstreamUnexpected
from addon.journal import Entry
from tests.conftest import Target
from tests.double import Double, Fault
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample

OWN = "/api/v1/actions-extensions"


def entry(target: str, **more: object) -> Entry:
    seen = trace.Trace(**more)  # type: ignore[arg-type]
    seen.operation = routes.operation(routes.parse("GET", target)) if "/actions/runs" in target else None
    return Entry("GET", target, 200, 18.4, 7, True, seen)


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("latest/logs?job=1", "GET org/repo runs/latest/logs job=1 → 200 18 ms forgejo=0"),
        ("42?token=secret", "GET org/repo runs/42 → 200 18 ms forgejo=0"),
        ("7/artifacts/a%20b", 'GET org/repo runs/7/artifacts artifact="a b" → 200 18 ms forgejo=0'),
        ("7/jobs/1?wait=5", "GET org/repo runs/7/jobs job=1 wait=5 → 200 18 ms forgejo=0"),
        ("?status=failure&page=2", "GET org/repo runs status=failure page=2 → 200 18 ms forgejo=0"),
        ("7/jobs?attempt=latest&job=0", "GET org/repo runs/7/jobs job=0 attempt=latest → 200 18 ms forgejo=0"),
        ("7/logs?job=a%22b%20%E2%86%92%20200", r'GET org/repo runs/7/logs job="a\"b \u2192 200" → 200 18 ms forgejo=0'),
        ("7/logs?job=%1b%5b31m%0aGET", None),
    ],
)
def test_a_line(target: str, line: str | None) -> None:
    path = f"/api/v1/repos/org/repo/actions/runs/{target}".replace("/?", "?")
    if line is None:
        with pytest.raises(Exception, match="job takes"):
            entry(path)
    else:
        assert entry(path).text() == line


@pytest.mark.parametrize("text", ["x\ny", "\x1b[2J", "caller=root → 200", 'a"b', "\u202e", "x" * 5000, "\udcff"])
def test_nothing_that_is_written_down_can_look_like_more(text: str) -> None:
    bad = Entry(text, f"/{text}", 400, 1, 0, False, trace.Trace(caller=text, error=text))
    for line in (bad.text(), bad.as_json()):
        assert line.encode() and "\n" not in line and "\x1b" not in line and len(line) < 1500
    for value in (text, f" {text}"):
        assert journal.quoted(value) == value or journal.quoted(value)[0] == '"'
    assert bad.text().count("→") == 1


def test_forgejos_answers_are_counted_and_a_long_record_is_cut() -> None:
    seen = trace.Trace()
    for number in range(200):
        seen.add(trace.Exchange("session", "GET", f"/{'x' * 500}/{number}", 200, 0.01))
    told = json.loads(seen.as_header("org/repo runs/1"))
    assert len(seen.as_header("")) <= trace.MOST_HEADER and told["forgejo"][0][2].endswith("/0")
    assert told["more"] + len(told["forgejo"]) == seen.exchange_count == 200


def test_lines_of_a_proxy(target: Target, demo: Sample) -> None:
    """Every kind of answer has its line; who changes something is named, and who reads is not asked."""
    base = demo.base.removeprefix("/api/v1/repos/").removesuffix("/actions/runs")
    target.request("GET", f"{demo.base}/1/logs?job=lint%20(mypy)&token={demo.reader}")
    target.request("GET", f"{demo.base}/2/summary", demo.reader)
    target.request("GET", f"{demo.base}/x%0ay/logs", demo.reader)
    target.request("POST", f"{demo.base}/1/rerun", demo.reader)
    asked = len(target.double.requests)
    target.request(
        "POST", f"{demo.base}/2/rerun?sudo={demo.repo.owner.name}", target.world.token(target.world.admin, "all")
    )
    assert [seen.path for seen in target.double.requests[asked:]].count("/api/v1/user") == 1
    patiently(lambda: f"{base} runs/2/rerun" in target.proxy.log())
    log = target.proxy.log()
    assert f'GET {base} runs/1/logs job="lint (mypy)" → 200 ' in log
    assert f"GET {base} runs/2/summary → 200 " in log and "forgejo=" in log
    assert f'GET "{demo.base}/x\\ny/logs" → 40' in log
    assert f"POST {base} runs/1/rerun → 403 " in log
    (line,) = [line for line in log.splitlines() if line.startswith(f"POST {base} runs/2/rerun")]
    assert " → 201 " in line and line.endswith(f" caller={target.world.admin.name}")
    assert demo.reader not in log


@pytest.mark.parametrize("target", ["v15"], indirect=True)
def test_the_jobs_of_a_rerun_are_shown_as_a_parameter(target: Target, demo: Sample) -> None:
    """Not as `job failed`, which reads as if it had failed."""
    start = f"rerun of {demo.repo.full_name} run 2, "
    target.request("POST", f"{demo.base}/2/rerun?job=failed", demo.writer)
    patiently(lambda: start in target.proxy.log())
    assert f"{start}job=failed\n" in target.proxy.log()


def test_a_further_question_does_not_hide_who_wants_a_change(target: Target, demo: Sample) -> None:
    """With an event filter, the run's event is asked for after the permission to write."""
    target.request("POST", f"{demo.base}/2/rerun?event=push&dry_run=true", demo.writer)
    start = f"POST {demo.base.removeprefix('/api/v1/repos/').removesuffix('/actions/runs')} runs/2/rerun event=push"
    patiently(lambda: start in target.proxy.log())
    (line,) = [line for line in target.proxy.log().splitlines() if line.startswith(start)]
    assert f"caller=writer-{demo.repo.full_name.removeprefix('owner-').removesuffix('/demo')}" in line


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[Double, Proxy, Sample]]:
    """A proxy that logs JSON and shows metrics."""
    with Double(version="v15") as double:
        admin, demo = double.world.admin, sample(double.world, "journal")
        options = {"actions_log": "json", "actions_metrics": "true"}
        with start_proxy(double.url, (admin.name, admin.password), options) as proxy:
            yield double, proxy, demo


def test_json_lines(watched: tuple[Double, Proxy, Sample]) -> None:
    _, proxy, demo = watched
    header = {"Authorization": f"token {demo.writer}"}
    requests.get(f"{proxy.url}{demo.base}/1/logs?job=lint%20(mypy)", headers=header, timeout=20)
    requests.post(f"{proxy.url}{demo.base}/latest/rerun?job=0", headers=header, timeout=20)
    patiently(lambda: '"action": "rerun"' in proxy.log())
    lines = [json.loads(line) for line in proxy.log().splitlines() if line.startswith("{")]
    (log,) = [line for line in lines if line.get("action") == "logs"]
    assert log["repo"] == demo.repo.full_name and log["run"] == 1 and log["query"] == {"job": "lint (mypy)"}
    assert (log["status"], log["whole"], log["access"], log["caller"]) == (200, True, "read: yes", None)
    assert log["bytes"] > 0 and log["forgejo"] > 1
    (rerun,) = [line for line in lines if line.get("action") == "rerun"]
    assert rerun["run"] == "latest" and rerun["caller"] == "writer-journal"
    assert any("signed in to Forgejo" in line.get("message", "") for line in lines)


def test_metrics(watched: tuple[Double, Proxy, Sample]) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    _, proxy, demo = watched
    requests.get(f"{proxy.url}{demo.base}/3/summary", headers={"Authorization": "token nobody"}, timeout=20)
    answer = requests.get(f"{proxy.url}{OWN}/metrics", timeout=20)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = [each for family in text_string_to_metric_families(answer.text) for each in family.samples]
    found = {(each.name, *sorted(each.labels.values())): each.value for each in samples}
    assert found["actions_extension_requests_total", "401", "summary"] == 1
    assert found["actions_extension_forgejo_requests_total", "401", "caller"] == 1
    assert "demo" not in answer.text and "writer" not in answer.text


def test_health(watched: tuple[Double, Proxy, Sample]) -> None:
    """Yes or no, to anybody; why not is in the log, once."""
    double, proxy, _ = watched
    assert requests.get(f"{proxy.url}{OWN}/health", timeout=20).json() == {"status": "ok"}
    double.restart()  # the session is lost, which is nothing to worry about
    double.faults.append(Fault(match="^GET /api/healthz", kind="status", value=500))

    def status(wanted: int) -> Callable[[], bool]:
        return lambda: requests.get(f"{proxy.url}{OWN}/health", timeout=20).status_code == wanted

    patiently(status(503))
    assert requests.get(f"{proxy.url}{OWN}/health", timeout=20).json() == {"status": "failing"}
    assert proxy.log().count("health: Forgejo answered 500") == 1
    double.faults.clear()
    patiently(status(200))
    patiently(lambda: "health: fine again" in proxy.log())
    assert requests.post(f"{proxy.url}{OWN}/health", timeout=20).status_code == 405


def test_own_pages_by_default(target: Target) -> None:
    answer = target.request("GET", f"{OWN}/metrics")
    assert answer.status_code == 404 and 'actions_metrics: "true"' in answer.json()["message"]
    assert target.request("GET", f"{OWN}/health").status_code == 200
    assert "health, metrics" in target.request("GET", f"{OWN}/helth").json()["message"]
    assert f"{OWN}/health" not in target.proxy.log()


def test_health_is_looked_at_by_one_and_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) > 1:
            raise UpstreamUnexpected("down")

    health = Health(look)
    assert [health.is_healthy() for _ in range(20)] == [True] * 20 and len(looks) == 1
    now = time.monotonic()
    monkeypatch.setattr("addon.api.about.health.time.monotonic", lambda: now + 60)
    with health._checking:  # somebody looks: nobody else waits
        assert health.is_healthy() is True
    assert health.is_healthy() is False and len(looks) == 2


@pytest.mark.parametrize(
    ("mode", "access", "written"), [("off", "read: yes", 0), ("off", "write: yes", 1), ("text", None, 1)]
)
def test_reruns_are_logged_in_any_case(
    caplog: pytest.LogCaptureFixture, mode: str, access: str | None, written: int
) -> None:
    told: list[object] = []
    logging.getLogger("addon.requests").propagate = True
    with caplog.at_level(logging.INFO, "addon.requests"):
        journal.Journal(mode, lambda *what: told.append(what)).write(
            entry("/api/v1/repos/o/r/actions/runs/1", access=access)
        )
    assert len(caplog.records) == written and told == [("info", 200, 0.0184)]


def patiently(condition: Callable[[], bool], patience: float = 20) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
