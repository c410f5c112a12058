"""Nothing fails open: an exception in any room, an application that can't start, a changed or deleted script."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from addon import ROOT
from tests.api.hostile import meaning
from tests.double import Double
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample
from tests.support.upstream import Upstream

PLANTED = ROOT / "tests/proxy/planted"
TEXT = "planted-exception-text"
PATH = "/api/v1/repos/org/repo/actions/runs/latest/logs"
LOGS, JOBS, RERUN = ("GET", "1/logs"), ("GET", "1/jobs"), ("POST", "2/rerun")
NATIVE = "Forgejo was given an extension path"


@dataclass
class Stage:
    """A proxy in which any room can be made to raise."""

    double: Double
    proxy: Proxy
    demo: Sample
    switch: Path

    def ask(self, method: str, tail: str) -> requests.Response:
        headers = {"Authorization": f"token {self.demo.writer}"}
        return requests.request(method, f"{self.proxy.url}{self.demo.base}/{tail}", headers=headers, timeout=20)

    def never_native(self) -> None:
        """The stand-in has no such routes, but would have been asked for them."""
        asked = [seen.path for seen in self.double.requests if not seen.principal.startswith("session:")]
        assert [path for path in asked if (meaning(path) or ("", "", "list"))[2] != "list"] == [], NATIVE


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    switch = tmp_path_factory.mktemp("planted") / "switch"
    switch.write_text("")
    environment = {"PYTHONPATH": str(PLANTED), "PLANTED": str(switch)}
    with Double(version="v15") as double:
        demo, admin = sample(double.world, "planted"), double.world.admin
        with start_proxy(double.url, (admin.name, admin.password), environment=environment, forked=False) as proxy:
            yield Stage(double, proxy, demo, switch)


@pytest.mark.parametrize(
    ("room", "request_", "statuses"),
    [
        ("addon.api.routes:parse", LOGS, {500}),
        ("addon.forgejo.access:Access.read", LOGS, {500}),
        ("addon.forgejo.access:Access.write", RERUN, {500}),
        ("addon.limits:Limiter.acquire", LOGS, {500}),
        ("addon.forgejo.transport:Transport.request", LOGS, {500}),
        ("addon.forgejo.transport:StreamedResponse.__iter__", LOGS, {500}),
        ("addon.forgejo.admin.session:AdminSession._current", LOGS, {500}),
        ("addon.forgejo.admin.credentials:from_environment", LOGS, {500}),
        ("addon.forgejo.web_ui:WebUi.run", LOGS, {500}),
        ("addon.actions.finding.run_selector:RunSelector.run", JOBS, {500}),
        ("addon.forgejo.job_logs:JobLogs.open", LOGS, {500}),
        ("addon.forgejo.web_ui:WebUi.rerun", RERUN, {500}),
        ("addon.forgejo.parsers.run_page:run_page", JOBS, {500}),
        ("addon.forgejo.parsers.run_page:run", JOBS, {500}),
        ("addon.actions.finding.run_finder:RunFinder.job_to_read", LOGS, {500}),
        ("addon.actions.waiting:Waiting._wait", JOBS, {500}),
        ("addon.actions.logs.wanted_lines:WantedLines.read", ("GET", "1/logs?tail=1"), {500}),
        ("addon.api.text.bundle:header", ("GET", "1/logs?job=all"), {500}),
        ("addon.actions.following.follow_logs:FollowLogs.follow", ("GET", "1/logs?follow=true"), {500}),
        ("addon.actions.summary:Summarize.summarize", ("GET", "2/summary"), {500}),
        ("addon.forgejo.artifacts:ArtifactPages.list", ("GET", "1/artifacts"), {500}),
        ("addon.actions.rerun:RerunRun.rerun", RERUN, {500}),
        ("addon.actions.logs.read_logs:ReadLogs.whole", LOGS, {500}),
        ("addon.api.answers.jobs:jobs_json", JOBS, {500}),
        ("addon.api.links:Links.api", JOBS, {500}),
        ("addon.proxy.addon:ActionsExtension._application", LOGS, {503}),
        ("addon.proxy.addon:ActionsExtension._readdress", LOGS, {503}),
        ("addon.proxy.addon:ActionsExtension._take", LOGS, {503}),
        ("addon.proxy.request_body:bound", RERUN, {503}),
        ("addon.proxy.addon:_unavailable", LOGS, {503}),
        ("addon.api.routes:is_ours", LOGS, {503}),
        ("addon.proxy.redact:request", JOBS, {200}),
        ("addon.proxy.redact:response", JOBS, {200}),
    ],
)
def test_an_exception_in_any_room(stage: Stage, room: str, request_: tuple[str, str], statuses: set[int]) -> None:
    stage.double.restart()  # so that signing in is a part of it
    stage.switch.write_text(room)
    answer = stage.ask(*request_)
    stage.switch.write_text("")
    assert answer.status_code in statuses, answer.text
    assert TEXT not in answer.text + str(answer.headers)
    if answer.status_code == 500:
        assert answer.json()["message"] == "internal error of the Actions extension"
        wait_until(lambda: "actions extension: unexpected RuntimeError at sitecustomize.py" in stage.proxy.log())
        assert f"extension: {TEXT}" not in stage.proxy.log()
    stage.never_native()
    assert all(job.status.done for job in stage.demo.runs["failed"].jobs), "it was rerun"
    assert stage.ask(*LOGS).status_code == 200


def test_an_exception_outside_the_handlers(stage: Stage) -> None:
    """Then the WSGI server itself answers."""
    stage.switch.write_text("addon.journal:_Body.__iter__")
    answer = stage.ask(*JOBS)
    stage.switch.write_text("")
    assert answer.status_code == 500 and answer.json() == {"message": "internal error of the Actions extension"}
    assert "X-Actions-Extension" in answer.headers and stage.ask(*JOBS).status_code == 200


def test_an_application_that_does_not_start(tmp_path: Path) -> None:
    """At first it ends the proxy; later there are 503s, ordinary traffic goes on, and it is tried again."""
    switch = tmp_path / "switch"
    switch.write_text("start")
    environment = {"PYTHONPATH": str(PLANTED), "PLANTED": str(switch)}
    with Upstream() as upstream:
        with start_proxy(upstream.url, environment=environment, listening=False, forked=False) as proxy:
            assert proxy.process.wait(20) == 1
        switch.write_text("")
        with start_proxy(upstream.url, environment=environment, forked=False) as proxy:
            bad = proxy.url + PATH.replace("latest", "0")
            assert requests.get(bad, timeout=20).status_code == 400
            switch.write_text("start")
            os.kill(application(proxy), signal.SIGKILL)
            wait_until(lambda: "can't start" in proxy.log())
            assert requests.get(bad, timeout=20).status_code == 503
            assert requests.get(proxy.url + "/ordinary", timeout=10).status_code == 200
            switch.write_text("")
            wait_until(lambda: requests.get(bad, timeout=20).status_code == 400)
        assert {seen.path for seen in upstream.requests} <= {"/ordinary", "/api/v1/version"}


def application(proxy: Proxy) -> int:
    """Its process id."""
    pid = str(proxy.process.pid)
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", pid], capture_output=True, text=True, check=True)
    return int(found.stdout)


def test_the_application_listens_on_loopback_only() -> None:
    with Upstream() as upstream, start_proxy(upstream.url) as proxy:
        addresses = listening_addresses(application(proxy))
        assert len(addresses) == 1 and addresses[0].startswith("0100007F:"), (
            addresses
        )  # 127.0.0.1, as the kernel writes it


def listening_addresses(pid: int) -> list[str]:
    """Of a process, from the kernel's tables: hexadecimal address and port."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:")}
    tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]


def touch(entry: Path) -> None:
    later = time.time() + 10
    os.utime(entry, (later, later))


def break_syntax(entry: Path) -> None:
    entry.write_text("def broken(:\n")
    touch(entry)


def break_import(entry: Path) -> None:
    entry.write_text(entry.read_text() + "\nimport no_such_module\n")
    touch(entry)


CHANGES: tuple[Callable[[Path], None], ...] = (touch, break_syntax, break_import, Path.unlink)


def test_a_changed_script(tmp_path: Path) -> None:
    """mitmproxy looks at the file each second. Whatever becomes of it, the addon that runs goes on."""
    with Upstream() as upstream, ExitStack() as proxies:
        started = []
        for change in CHANGES:
            entry = tmp_path / change.__name__ / "addon/entry.py"
            shutil.copytree(ROOT / "addon", entry.parent)
            options = {"scripts": [str(entry)]}
            proxy = proxies.enter_context(start_proxy(upstream.url, options=options, forked=False))
            started.append((change, entry, proxy))
        time.sleep(1.5)  # it has looked once
        for change, entry, _ in started:
            change(entry)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            for change, _, proxy in started:
                bad = proxy.url + PATH.replace("latest", "0")
                assert requests.get(bad, timeout=20).status_code == 400, change
                assert requests.get(proxy.url + "/ordinary", timeout=10).status_code == 200
            time.sleep(0.2)
        assert {seen.path for seen in upstream.requests} <= {"/ordinary", "/api/v1/version"}


def wait_until(condition: Callable[[], bool], patience: float = 20) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
