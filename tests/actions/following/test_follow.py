"""Following logs: everything at once, then each line as it comes; nothing lost, nothing twice, and an end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.actions.following.follower import EVENTS, Reader, Scene, Stream, events, texts
from tests.conftest import Target
from tests.double import Double, JobSpec
from tests.support.proxy import start_proxy
from tests.support.sample import Sample, sample

FOLLOWERS = 20


def a_waiting_job(target: Target, demo: Sample) -> None:
    """Its log is followed from the first line on."""
    scene = Scene(target, demo)
    reader = Reader(scene.open(**EVENTS)).until(b"waiting")
    scene.begin()
    reader.until(b"green")
    scene.rest()
    assert texts(reader.whole()) == scene.job.log_bytes()
    assert events(reader.data)[-1][:2] == ("end", {"reason": "done", "status": "success"})


def a_running_job(target: Target, demo: Sample) -> None:
    """Byte for byte, to late comers and to who wants the last line only."""
    scene = Scene(target, demo).begin()
    early, tail = Reader(scene.open()), Reader(scene.open("&tail=1&timestamps=false&ansi=false"))
    early.until(b"green")
    assert b"green" in tail.until(b"green").data
    scene.rest()
    late = Reader(scene.open())
    end = "==> job (0) · success <==\n".encode()
    assert early.whole() == late.whole() == scene.job.log_bytes() + end
    assert tail.whole() == "one ✓ green\nstill one\ntwo\rprogress\n".encode() + end


def steps(target: Target, demo: Sample) -> None:
    """One step's lines, until that step ends; and what the steps do, as events."""
    scene = Scene(target, demo).begin()
    first, second = Reader(scene.open("&step=2")), Reader(scene.open("&step=3"))
    all_events = Reader(scene.open(**EVENTS))
    first.until(b"green")
    all_events.until(b"green")
    scene.rest("failure")
    lines = re.findall(rb".*\n", scene.job.log_bytes())
    assert first.whole().rpartition(b"==>")[0] == b"".join(lines[1:3])
    assert second.whole().rpartition(b"==>")[0] == lines[3]
    found = [(value["number"], value["status"]) for name, value, _ in events(all_events.whole()) if name == "step"]
    assert (2, "running") in found
    assert {(2, "success"), (3, "failure")} < set(found)


def a_step_with_lines_that_the_log_lacks(target: Target, demo: Sample) -> None:
    """The run's page shows them, and the stream says at its end that they are missing: one of two, or the only one."""
    scene = Scene(target, demo, JobSpec("job", steps=["one", "two"]), JobSpec("other", steps=["one"])).begin()
    scene.rest()
    other = scene.run.jobs[1]
    scene.world.play(other, "failure", [["set up"], ["a", "b"]])
    for job in scene.run.jobs:
        job.task.log.hidden = len(re.findall(rb".*\n", job.log_bytes())[-1])
    said = "lines of the step are missing (the run's page shows 1 more)"
    assert Reader(scene.open("&step=3")).whole() == f"==> job (0) · {said} <==\n".encode()
    text = Reader(scene.open("&step=2&job=1&timestamps=false")).whole()
    assert text == f"a\n==> other (1) · {said} <==\n".encode()
    found = [each[:2] for each in events(Reader(scene.open("&step=2&job=1", **EVENTS)).whole())]
    assert found[-2:] == [
        ("note", {"job": 1, "text": said}),
        ("end", {"reason": "incomplete", "status": "failure"}),
    ]


def a_step_of_a_log_that_is_too_large(target: Target, demo: Sample) -> None:
    """There is a log, and why the step is not told apart is said."""
    scene = Scene(target, demo)
    scene.world.big_log(scene.job, 65 << 20)
    scene.world.finish(scene.job, "failure")
    for query in ("&step=2", "&job=failed&failed_steps=true"):
        said = Reader(scene.open(query)).whole().decode()
        assert "==> job (0) · lines of the step are missing (the log of job 0 (job) has 65 MiB: its steps are" in said


def taken_up_again(target: Target, demo: Sample) -> None:
    """Last-Event-ID goes on behind the line that bore it."""
    scene = Scene(target, demo).begin()
    reader = Reader(scene.open(**EVENTS)).until(b"green")
    reader.leave()
    before = [each for each in events(reader.data) if each[0] == "line"]
    scene.rest()
    for count in (1, 2):
        again = Reader(scene.open(**EVENTS, **{"Last-Event-ID": before[count - 1][2]}))
        lines = "".join(value["text"] + "\n" for _, value, _ in before[:count]).encode()
        assert lines + texts(again.whole()) == scene.job.log_bytes()
        numbers = [value["number"] for name, value, _ in events(again.data) if name == "line"]
        assert numbers == list(range(count + 1, 5))


def a_cancelled_job(target: Target, demo: Sample) -> None:
    scene = Scene(target, demo).begin()
    reader = Reader(scene.open()).until(b"green")
    scene.world.cancel(scene.run)
    assert reader.whole() == scene.job.log_bytes() + "==> job (0) · cancelled <==\n".encode()


def an_expired_log(target: Target, demo: Sample) -> None:
    scene = Scene(target, demo).begin()
    reader = Reader(scene.open(**EVENTS)).until(b"green")
    scene.world.expire_logs(scene.job)
    reader.whole()
    assert events(reader.data)[-1][1]["reason"] == "expired"
    assert b"the log has expired" in reader.data


def a_rerun(target: Target, demo: Sample) -> None:
    """It ends a stream of the attempt before, with all its lines where Forgejo still shows them."""
    scene = Scene(target, demo).begin()
    reader = Reader(scene.open(**EVENTS)).until(b"green")
    with scene.world.lock:
        scene.rest("failure")
        first = scene.job.log_bytes()
    assert scene.ask("POST", "rerun").status_code == 201
    scene.begin()
    if target.number >= 13:
        assert texts(reader.whole()) == first
        again = Reader(scene.open()).until(b"green")
        again.leave()
        assert Reader(scene.open("&attempt=1")).whole().startswith(first)
    else:  # the lines after those seen may be gone, which the stream says
        reader.whole()
        assert first.startswith(texts(reader.data))
    assert events(reader.data)[-1][1]["reason"] in ("rerun", "done")


def all_jobs(target: Target, demo: Sample) -> None:
    """Lines of all jobs as they come, each change under a header; a job that begins later is there too."""
    scene = Scene(target, demo, JobSpec("a"), JobSpec("b", needs=["a"]), JobSpec("c"))
    a, b, c = scene.run.jobs
    scene.world.pick(a)
    scene.world.log(a, "a 1")
    reader, as_events = Reader(scene.open("&job=all&timestamps=false")), Reader(scene.open("&job=all", **EVENTS))
    reader.until(b"a 1")
    scene.world.pick(c)
    scene.world.log(c, "c 1")
    reader.until(b"c 1")
    scene.world.log(a, "a 2")
    scene.world.finish(a, "success")
    reader.until(b"a 2")
    scene.world.play(b, "failure", [["b 1"]])
    scene.world.finish(c, "success")
    text = reader.whole().decode()
    heads = re.findall(r"^==> (\w) \(", text, re.MULTILINE)
    assert heads[0] == "a"
    assert set(heads) == {"a", "b", "c"}
    assert re.sub(r"==> .*\n", "", text) == "a 1\nc 1\na 2\nb 1\n"
    assert text.endswith(f"==> run {scene.run.index} · failure <==\n")
    waits = {(1, "blocked"), (2, "waiting")}
    told = {(v["job"], v["status"]) for n, v, _ in events(as_events.whole()) if n == "status"}
    assert waits < told
    assert events(as_events.data)[-1][1] == {"reason": "done", "status": "failure"}
    for job in scene.run.jobs:
        lines = [v["text"] + "\n" for n, v, _ in events(as_events.whole()) if n == "line" and v["job"] == job.index]
        assert "".join(lines).encode() == job.log_bytes()


def failed_jobs(target: Target, demo: Sample) -> None:
    """Each as it fails."""
    scene = Scene(target, demo, JobSpec("good"), JobSpec("bad", steps=["fine", "broken"]), JobSpec("slow"))
    good, bad, slow = scene.run.jobs
    scene.world.pick(slow)
    reader = Reader(scene.open("&job=failed&failed_steps=true&timestamps=false"))
    scene.world.play(good)
    scene.world.play(bad, "failure", [["set up"], ["fine"], ["it broke"]])
    assert reader.until(b"broke").data == "==> bad (1) · failure <==\nit broke\n".encode()
    scene.world.log(slow, "slow")
    scene.world.finish(slow, "success")
    reader.whole()
    assert re.findall(rb"==>.*", reader.data)[1:] == [f"==> run {scene.run.index} · failure <==".encode()]


def nobody_pays_twice(target: Target, demo: Sample) -> None:
    """Many followers cost Forgejo the looks of one."""
    scene = Scene(target, demo).begin()
    path = f"/{demo.repo.full_name}/actions/runs/{scene.run.index}/jobs/0"

    def looks() -> int:
        return sum(seen.path.startswith(path) and seen.path.endswith("/logs") for seen in list(target.double.requests))

    readers = [Reader(scene.open()) for _ in range(FOLLOWERS)]
    for reader in readers:
        reader.until(b"green")
    before = looks()
    for number in range(3):
        scene.world.log(scene.job, f"line {number}")
        for reader in readers:
            reader.until(f"line {number}".encode())
    assert looks() - before < FOLLOWERS
    scene.rest()
    assert {reader.whole() for reader in readers} == {scene.job.log_bytes() + "==> job (0) · success <==\n".encode()}


SCENES = (
    a_waiting_job,
    a_running_job,
    steps,
    a_step_with_lines_that_the_log_lacks,
    a_step_of_a_log_that_is_too_large,
    taken_up_again,
    a_cancelled_job,
    an_expired_log,
    a_rerun,
    all_jobs,
    failed_jobs,
    nobody_pays_twice,
)


def test_scenes(target: Target, demo: Sample) -> None:
    """All at the same time, for each is mostly waiting; which one failed is in the traceback."""
    with ThreadPoolExecutor(len(SCENES)) as pool:
        running: list[Any] = [pool.submit(scene, target, demo) for scene in SCENES]
        failures = [each.exception() for each in running if each.exception()]
    for failure in failures:
        raise failure


def test_a_restart_of_forgejo_in_the_middle_is_said_and_nothing_is_lost(target: Target, demo: Sample) -> None:
    scene = Scene(target, demo).begin()
    reader, as_events = Reader(scene.open()).until(b"green"), Reader(scene.open(**EVENTS)).until(b"green")
    target.double.stop()
    reader.until(b"==> job (0)")
    target.double.restart()
    target.double.start()
    scene.rest()
    text = re.sub(rb"==> job .* <==\n", b"", reader.whole())
    assert text == texts(as_events.whole()) == scene.job.log_bytes()
    assert any(name == "note" for name, _, _ in events(as_events.data))


def test_what_cannot_be_followed(target: Target, demo: Sample) -> None:
    skipped = target.world.run(demo.repo, jobs=[JobSpec("never")])
    target.world.finish(skipped.jobs[0], "skipped")
    for path, status, message in (
        (f"{skipped.index}/logs?follow=true", 404, "never started"),
        ("1/logs?follow=true&format=zip", 400, "a zip can't be followed"),
        ("1/logs?follow=true&job=1&failed_steps=true", 400, "job=failed"),
        ("1/logs?follow=true&step=99", 200, ""),
    ):
        answer = target.request("GET", f"{demo.base}/{path}", demo.reader)
        assert (answer.status_code, message in answer.text) == (status, True)
    odd = target.request(
        "GET", f"{demo.base}/1/logs?follow=true", demo.reader, headers={**EVENTS, "Last-Event-ID": "x\x7f"}
    )
    assert odd.status_code == 400
    head = target.request("HEAD", f"{demo.base}/1/logs?follow=true", demo.reader)
    assert (head.status_code, head.content) == (200, b"")


@contextmanager
def own_proxy(**options: str) -> Iterator[tuple[Target, Sample]]:
    """With options of its own."""
    with Double(version="v15") as double:
        admin = double.world.admin
        with start_proxy(double.url, (admin.name, admin.password), options) as proxy:
            yield Target("v15", double, proxy), sample(double.world, "own")


@pytest.fixture(scope="module")
def narrow() -> Iterator[tuple[Target, Sample]]:
    """Access is asked for again each second; there are places for two with one token."""
    with own_proxy(actions_recheck="1", actions_followers="4") as made:
        yield made


@pytest.mark.xdist_group("narrow")
def test_a_revoked_token_ends_the_stream(narrow: tuple[Target, Sample]) -> None:
    target, demo = narrow
    scene = Scene(target, demo).begin()
    reader = Reader(scene.open()).until(b"green")
    del target.world.tokens[demo.reader]
    scene.world.log(scene.job, "before it is noticed, or not at all")
    text = reader.whole()
    scene.world.log(scene.job, "secret")
    assert "· access has ended" in text.decode()
    demo.reader = target.world.token(target.world.user("next"), "all")


@pytest.mark.xdist_group("narrow")
@pytest.mark.parametrize("jobs", ["all", "failed"])
def test_a_revoked_token_ends_a_stream_of_many_jobs_in_which_nothing_happens(
    narrow: tuple[Target, Sample], jobs: str
) -> None:
    target, demo = narrow
    follower = target.world.user(f"follower-of-{jobs}")
    demo.repo.collaborators[follower] = "read"
    token = target.world.token(follower, "all")
    scene = Scene(target, demo)  # it waits, and goes on waiting
    path = f"{demo.base}/{scene.run.index}/logs?follow=true&job={jobs}"
    reader = Reader(Stream(target, path, token, EVENTS))
    target.world.revoke(token)
    reader.whole()
    assert events(reader.data)[-1][1]["reason"] == "access"
    assert not scene.run.done


@pytest.mark.xdist_group("narrow")
def test_places_are_limited_and_freed_when_clients_leave(narrow: tuple[Target, Sample]) -> None:
    target, demo = narrow
    reader = target.world.token(target.world.user("follower"), "all")
    demo.repo.private = False
    scene = Scene(target, demo).begin()
    path = f"{demo.base}/{scene.run.index}/logs?follow=true"
    two = [Reader(Stream(target, path, reader, {})).until(b"green") for _ in range(2)]
    third = Stream(target, path, reader, {})
    assert (third.status, third.answer.headers["Retry-After"]) == (503, "5")
    two[0].leave()
    Reader(Stream(target, path, reader, {})).until(b"green").leave()
    two[1].leave()
