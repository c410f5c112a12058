"""The summary that explains, through a real proxy, for every version; as JSON, Markdown and plain text."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from addon.actions.explain import MOST_LINE, MOST_TEXT, WINDOW
from addon.actions.summary import MOST_ANNOTATIONS, MOST_JOBS
from addon.api.composition import build, connect
from addon.api.routes import parse
from addon.caller import Caller
from addon.errors import ClientDisconnected
from addon.forgejo.parsers.workflow_problems import NOT_TOLD
from addon.inherited.other_traffic import OtherTraffic
from addon.settings import Settings
from tests.conftest import Target, every_version
from tests.double import Double, Fault, JobSpec
from tests.support.sample import Sample, sample

STEPS = ("install", "pytest", "upload")
LINES = [
    ["set up"],
    ["installed"],
    [*(f"test {number} passed" for number in range(40)), "::error file=tests/x.py,line=31,title=Oops::assert 1%0Ais 2", "\x1b[31m1 failed\x1b[0m"],
    [],
    ["bye"],
]  # fmt: skip


def failed_run(target: Target, demo: Sample, lines: Any = LINES, **more: Any) -> Any:
    run = target.world.run(
        demo.repo, title="break it", jobs=[JobSpec("build"), JobSpec("test", steps=STEPS), JobSpec("later")], **more
    )
    target.world.play(run.jobs[0], "success", [["set up"], ["::warning::not looked at"]])
    job = run.jobs[1]
    target.world.pick(job)
    for text in lines[0]:
        target.world.log(job, text)
    for index in (0, 1):
        target.world.step(job, index, "running")
        for text in lines[index + 1]:
            target.world.log(job, text)
        target.world.step(job, index, "success" if index == 0 else "failure")
    for text in lines[4]:
        target.world.log(job, text)
    target.world.finish(job, "failure")
    target.world.finish(run.jobs[2], "skipped")
    return run


def summary(target: Target, demo: Sample, run: Any, query: str = "", accept: str | None = None) -> Any:
    headers = {} if accept is None else {"Accept": accept}
    answer = target.request("GET", f"{demo.base}/{run.index}/summary{query}", demo.reader, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Vary"] == "Accept"
    return answer


def test_why_it_failed(target: Target, demo: Sample) -> None:
    run = failed_run(target, demo)
    target.world.artifact(run, "report", b"zip")
    told = summary(target, demo, run).json()
    (failed,) = told["failed_jobs"]
    assert (failed["index"], failed["name"], failed["problem"], failed["last_lines"]) == (1, "test", None, None)
    (step,) = failed["failed_steps"]
    assert (step["number"], step["name"], step["status"], step["lines_total"]) == (3, "pytest", "failure", 42)
    # The step's last 20: not the job's, and without the colours.
    assert len(step["lines"]) == 20 and step["lines"][0] == "test 22 passed" and step["lines"][-1] == "1 failed"
    (annotation,) = told["annotations"]
    assert annotation == {
        "level": "error", "message": "assert 1\nis 2", "title": "Oops", "file": "tests/x.py", "line": 31, "end_line": None,
        "column": None, "end_column": None, "job_index": 1, "job_name": "test", "step": 3,
    }  # fmt: skip
    assert told["annotations_found"] == 1 and told["failed_jobs_explained"] == 1
    assert told["counts"] == {"success": 1, "failure": 1, "skipped": 1}
    assert [each["name"] for each in told["artifacts"]] == ["report"]
    assert told["jobs_duration_seconds"] == sum(job["duration_seconds"] or 0 for job in told["jobs"])
    assert (told["duration_seconds"] is None) == (target.number < 12)
    assert told["next"] == {
        "rerunnable": True,
        "failed_jobs_rerunnable": True,
        "cancellable": False,
        "rerun_deletes_artifacts": target.number >= 15,
        **{
            name: f"{target.proxy.url}{demo.base}/by-number/{run.index}/{tail}"
            for name, tail in (
                ("rerun_url", "rerun"),
                ("rerun_failed_url", "rerun?job=failed"),
                ("cancel_url", "cancel"),
            )
        },
    }


@pytest.mark.parametrize(("query", "count"), [("?lines=0", 0), ("?lines=1", 1), ("?lines=1000", 42)])
def test_how_many_lines(target: Target, demo: Sample, query: str, count: int) -> None:
    told = summary(target, demo, failed_run(target, demo), query).json()
    (step,) = told["failed_jobs"][0]["failed_steps"]
    assert len(step["lines"]) == count and told["annotations_found"] == 1
    if count == 42:
        assert step["lines"][0] == "test 0 passed"


def test_a_run_that_did_not_fail(target: Target, demo: Sample) -> None:
    told = summary(target, demo, demo.runs["green"]).json()
    assert told["failed_jobs"] == [] and told["annotations"] == [] and told["next"]["failed_jobs_rerunnable"] is False
    busy = target.world.run(demo.repo, jobs=[JobSpec("a")])
    told = summary(target, demo, busy).json()
    assert told["next"]["cancellable"] is True and told["next"]["rerunnable"] is False
    assert told["jobs_duration_seconds"] is None


def test_logs_that_are_not_to_be_had(target: Target, demo: Sample) -> None:
    """Expired, never uploaded, never started: each is told in its job, and the summary is one all the same."""
    names = ["expired", "lost", "never", "fine"]
    run = target.world.run(demo.repo, jobs=[JobSpec(name) for name in names])
    for job in run.jobs:
        if job.name == "lost":
            target.world.pick(job)
            target.world.step(job, 0, "running")
        elif job.name != "never":
            target.world.play(job, "failure", [["set up"], ["it broke"]])
        target.world.finish(job, "failure")
    target.world.expire_logs(run.jobs[0])
    failed = summary(target, demo, run).json()["failed_jobs"]
    assert [job["problem"] is None for job in failed] == [False, False, False, True]
    assert ["expired" in failed[0]["problem"], "never uploaded" in failed[1]["problem"]] == [True, True]
    assert "never started" in failed[2]["problem"] and failed[2]["failed_steps"] == []
    assert failed[0]["failed_steps"][0]["lines"] is None
    assert failed[3]["failed_steps"][0]["lines"] == ["it broke"]
    text = summary(target, demo, run, accept="text/plain").text
    assert "never started" in text and "it broke" in text


BROKEN = "Unable to parse jobs in workflow: yaml: line 5: mapping values\nare not `allowed` <here>"


@every_version
def test_a_broken_workflow_file(target: Target, demo: Sample) -> None:
    """The run says why it has no jobs: its own page, the summary in each format, and the log that isn't there."""
    run = target.world.broken_run(demo.repo, BROKEN, ["Job <code>a</code> has a field that is ignored"])
    if run is None:
        assert target.number < 12
        return
    path = f"{demo.base}/by-number/{run.index}"
    told_since = target.number >= 13
    message, line, place = (BROKEN, 5, "ci.yml:5") if told_since else (NOT_TOLD, None, "ci.yml")
    info = target.request("GET", path, demo.reader).json()
    assert info["workflow_error"] == {"message": message, "file": "ci.yml", "line": line}
    assert info["workflow_warnings"] == (["Job a has a field that is ignored"] if target.number >= 16 else None)
    told = summary(target, demo, run).json()
    assert told["run"]["workflow_error"] == info["workflow_error"]
    (failed,) = told["failed_jobs"]
    assert "never started" in failed["problem"] and f"at {place}:" in failed["problem"]
    markdown = summary(target, demo, run, accept="text/markdown").text
    assert f"error in the workflow file, at ` {place} `:\n\n```text\n{message.splitlines()[0]}" in markdown
    text = summary(target, demo, run, accept="text/plain").text
    assert f"error in the workflow file, at {place}\n    {message.splitlines()[0]}" in text
    for each in (markdown, text):
        assert ("has a field that is ignored" in each) == (target.number >= 16)
    missing = target.request("GET", f"{path}/logs?job=0", demo.reader)
    assert missing.status_code == 404 and f"at {place}:" in missing.json()["message"]
    green = target.request("GET", f"{demo.base}/by-number/{demo.runs['green'].index}", demo.reader).json()
    assert green["workflow_error"] is None


def test_errors_come_before_warnings(target: Target, demo: Sample) -> None:
    """Many warnings leave no room for the others, but an error is never among those left out."""
    many = [f"::warning::careful {number}" for number in range(MOST_ANNOTATIONS)]
    run = target.world.run(demo.repo, jobs=[JobSpec("first"), JobSpec("second")])
    target.world.play(run.jobs[0], "failure", [["set up"], ["::notice::by the way", *many, "::error::a"]])
    target.world.play(run.jobs[1], "failure", [["set up"], ["::error::b"]])
    told = summary(target, demo, run).json()
    shown = [each["message"] for each in told["annotations"]]
    assert shown == ["a", "b", *(f"careful {number}" for number in range(MOST_ANNOTATIONS - 2))]
    assert told["annotations_found"] == MOST_ANNOTATIONS + 3


def test_a_job_that_calls_a_workflow(target: Target, demo: Sample) -> None:
    """It has a result without a runner (v15 and later). The failed step is in one of the called workflow's jobs."""
    if target.number < 15:
        return
    run = target.world.run(demo.repo, jobs=[JobSpec("call"), JobSpec("inner")])
    target.world.play(run.jobs[1], "failure", [["set up"], ["it broke"]])
    target.world.call(run.jobs[0], "failure")
    call, inner = summary(target, demo, run).json()["failed_jobs"]
    assert "calls a reusable workflow" in call["problem"] and call["failed_steps"] == []
    assert inner["failed_steps"][0]["lines"] == ["it broke"]
    missing = target.request("GET", f"{demo.base}/by-number/{run.index}/logs?job=call", demo.reader)
    assert missing.status_code == 404 and "calls a reusable workflow" in missing.json()["message"]


def test_a_failing_log_does_not_fail_the_summary(target: Target, demo: Sample) -> None:
    run = failed_run(target, demo)
    log = rf"^GET /{demo.repo.full_name}/.*/logs"
    for kind, value in (("status", 500), ("drop", None), ("html", None)):
        target.double.faults.append(fault := Fault(match=log, kind=kind, value=value, times=9))
        try:
            (failed,) = summary(target, demo, run).json()["failed_jobs"]
        finally:
            target.double.faults.remove(fault)
        assert failed["problem"] and failed["failed_steps"][0]["name"] == "pytest"


def test_a_log_too_large_to_be_told_by_step(target: Target, demo: Sample) -> None:
    """Its last lines are given instead, and little of it is read."""
    run = target.world.run(demo.repo, jobs=[JobSpec("big")])
    target.world.big_log(run.jobs[0], 200 << 20)
    target.world.finish(run.jobs[0], "failure")
    target.double.forget_requests()
    (failed,) = summary(target, demo, run, "?lines=5").json()["failed_jobs"]
    assert "200 MiB" in failed["problem"] and failed["failed_steps"][0]["lines"] is None
    assert len(failed["last_lines"]) == 5 and all(line.startswith("row ") for line in failed["last_lines"])
    reads = [seen for seen in target.double.requests_by_session() if f"/{demo.repo.full_name}/" in seen.path]
    assert [seen.headers.get("Range", "none") for seen in reads if seen.path.endswith("/logs")] == [f"bytes=-{WINDOW}"]
    assert all(seen.method == "GET" or target.number < 13 for seen in reads)


def test_a_step_before_the_end_that_is_read(target: Target, demo: Sample) -> None:
    """Annotations are looked for in the log's end only. A step's lines are had wherever they are."""
    world = target.world
    job = world.run(demo.repo, jobs=[JobSpec("job", steps=["fails", "always", "skipped"])]).jobs[0]
    world.pick(job)
    world.step(job, 0, "running")
    for text in ("::error::far away", "it broke"):
        world.log(job, text)
    world.step(job, 0, "failure")
    world.step(job, 1, "running")
    for _ in range(40):
        world.log(job, "x" * 60_000)
    world.step(job, 1, "success")
    world.finish(job, "failure")  # "Complete job" has no lines then
    told = summary(target, demo, job.run, "?lines=5").json()
    (failed,) = told["failed_jobs"]
    assert failed["failed_steps"][0]["lines"] == ["::error::far away", "it broke"]
    assert (failed["failed_steps"][0]["lines_total"], failed["problem"], failed["last_lines"]) == (2, None, None)
    assert told["annotations"] == []


def test_a_cancelled_job_is_explained_if_a_step_failed(target: Target, demo: Sample) -> None:
    """A runner reports a job that ran out of time as cancelled if a later step was still to run."""
    world = target.world
    run = world.run(demo.repo, jobs=[JobSpec("slow", steps=["hangs", "always"]), JobSpec("stopped"), JobSpec("fails")])
    slow, stopped, fails = run.jobs
    for job in run.jobs:
        world.pick(job)
    world.step(slow, 0, "running")
    world.log(slow, "deadline exceeded")
    world.step(slow, 0, "failure")
    world.step(slow, 1, "running")
    world.finish(slow, "cancelled")
    world.step(stopped, 0, "running")
    world.finish(stopped, "cancelled")
    world.play(fails, "failure", [[], ["broken"]])
    told = summary(target, demo, run).json()
    assert [(each["name"], each["status"]) for each in told["failed_jobs"]] == [
        ("fails", "failure"),
        ("slow", "cancelled"),
    ]
    assert told["failed_jobs"][1]["failed_steps"][0]["lines"] == ["deadline exceeded"]
    assert told["next"]["rerun_failed_url"].endswith("/rerun?job=unsuccessful")


def test_a_step_in_the_end_that_is_read(target: Target, demo: Sample) -> None:
    """Counted from the log's end, of which a part is read."""
    lines = [LINES[0], ["x" * 60_000] * 40, *LINES[2:]]
    told = summary(target, demo, failed_run(target, demo, lines), "?lines=2").json()
    (failed,) = told["failed_jobs"]
    assert failed["problem"] is None and failed["failed_steps"][0]["lines"] == [LINES[2][-2], "1 failed"]
    assert told["annotations"][0]["step"] == 3


def test_much_text_is_cut_at_its_start(target: Target, demo: Sample) -> None:
    lines = [*LINES[:2], [f"{number} " + "x" * 3000 for number in range(200)], [], []]
    (failed,) = summary(target, demo, failed_run(target, demo, lines), "?lines=200").json()["failed_jobs"]
    (step,) = failed["failed_steps"]
    assert step["lines_total"] == 200 and step["lines"][-1].startswith("199 ")
    assert len(step["lines"]) == MOST_TEXT // (MOST_LINE + 1)


def test_many_failed_jobs_stay_bounded(target: Target, demo: Sample) -> None:
    run = target.world.run(demo.repo, jobs=[JobSpec(f"job {number}") for number in range(60)])
    for job in run.jobs:
        target.world.play(job, "failure", [["set up"], [f"::error::broke {number}" for number in range(10)]])
    target.double.forget_requests()
    told = summary(target, demo, run).json()
    assert len(told["failed_jobs"]) == 60 and told["failed_jobs_explained"] == MOST_JOBS
    assert [job["explained"] for job in told["failed_jobs"]] == [True] * MOST_JOBS + [False] * 50
    assert told["failed_jobs"][MOST_JOBS]["failed_steps"] is None and told["failed_jobs"][0]["failed_steps"][0]["lines"]
    assert len(told["annotations"]) == MOST_ANNOTATIONS and told["annotations_found"] == 100
    reads = [seen for seen in target.double.requests_by_session() if f"/{demo.repo.full_name}/" in seen.path]
    assert len(reads) <= 5 + 5 * MOST_JOBS
    for accept in ("text/markdown", "text/plain"):
        text = summary(target, demo, run, accept=accept).text
        assert "60 jobs failed; the first 10 are explained" in text and "and 50 more" in text


def test_markdown(target: Target, demo: Sample) -> None:
    run = failed_run(target, demo)
    target.world.artifact(run, "report", b"zip")
    answer = summary(target, demo, run, "?lines=2", "text/markdown")
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    text = answer.text
    assert text.startswith(f"### Run {run.index}: failure\n\nTitle ` break it ` · workflow ` ci.yml `")
    assert "- ` test ` (job 1): **failure** in " in text
    assert "Job 1, ` test `, failed in step 3, ` pytest `, the last 2 of 42 lines:\n\n```text\n::error file=" in text
    assert "\n1 failed\n```\n" in text
    assert "- error at ` tests/x.py:31 `: ` Oops: assert 1␊is 2 `\n" in text
    assert "- ` report `, 3 B\n" in text
    assert ("which deletes its artifacts" in text) == (target.number >= 15)
    assert f"<{target.proxy.url}{demo.base}/by-number/{run.index}/rerun?job=failed>" in text


def test_a_table_for_the_terminal(target: Target, demo: Sample) -> None:
    run = failed_run(target, demo)
    answer = summary(target, demo, run, "?lines=2", "text/plain")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[0].startswith(f"run {run.index}  failure  ci.yml  main  ") and lines[1] == "break it"
    header = next(line for line in lines if line.startswith("JOB"))
    assert [line.split()[1] for line in lines[lines.index(header) + 1 :][:3]] == ["success", "failure", "skipped"]
    place = lines.index("job 1, test: step 3, pytest, failed (the last 2 of 42 lines)")
    assert lines[place + 2] == "    1 failed"
    assert "    error    tests/x.py:31  Oops: assert 1␊is 2" in lines


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/json", "application/json"),
        ("image/png", "application/json"),
        ("text/markdown, application/json;q=0.5", "text/markdown"),
        ("text/markdown;q=0.5, application/json", "application/json"),
        ("text/plain", "text/plain"),
        ("text/plain;q=0, text/markdown", "text/markdown"),
        ("nonsense;;q=x", "application/json"),
    ],
)
def test_what_the_client_accepts(target: Target, demo: Sample, accept: str | None, media_type: str) -> None:
    answer = summary(target, demo, demo.runs["green"], accept=accept)
    assert answer.headers["Content-Type"] == f"{media_type}; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_error_is_json_whatever_is_accepted(target: Target, demo: Sample) -> None:
    answer = target.request("GET", f"{demo.base}/999/summary", demo.reader, headers={"Accept": "text/markdown"})
    assert answer.status_code == 404 and "no run 999" in answer.json()["message"]


def test_a_client_that_has_left_costs_no_further_logs_or_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    with Double(version="v15") as double:
        monkeypatch.setenv("FORGEJO_ADMIN_USER", double.world.admin.name)
        monkeypatch.setenv("FORGEJO_ADMIN_PASSWORD", double.world.admin.password)
        demo, settings = sample(double.world, "left"), Settings(double.url)
        handlers: Any = build(settings, connect(settings), OtherTraffic.create()).handlers
        caller = Caller({"Authorization": f"token {demo.reader}"})
        jobs = handlers["jobs"].args[0]
        for tail, use in (
            ("summary", handlers["summary"].args[0].summarize), ("jobs?steps=true", jobs.list), ("attempts", jobs.attempts),
        ):  # fmt: skip
            query = parse("GET", f"{demo.base}/2/{tail}").query
            double.forget_requests()
            with pytest.raises(ClientDisconnected):
                use(query, caller, lambda: True)
            read = {seen.path.split("/attempt/")[0] for seen in double.requests_by_session() if "/runs/2" in seen.path}
            assert len(read) <= 1, (tail, read)  # the run's page, which shows one of its jobs
            assert use(query, caller, lambda: False).run.number == 2


HOSTILE = "a`b``c```d````\r\n# h\n<script>x</script> @reader [x](http://evil) | \x1b[2J\x1b]0;t\x07\x9b2J\u202egnp\u2066\u200b ~~~ &lt; $x$"


def test_hostile_text_is_text(target: Target, demo: Sample) -> None:
    """In every place that a workflow, a person or a log can write to."""
    job = JobSpec(HOSTILE, steps=[HOSTILE])
    run = target.world.run(demo.repo, workflow_id="ci.yml", title=HOSTILE, branch="b`|<i>@x", jobs=[job])
    target.world.artifact(run, HOSTILE, b"zip")
    fences = ["```", "~~~", "</code></pre><script>", HOSTILE, f"::error file={HOSTILE},title=`::{HOSTILE}"]
    target.world.play(run.jobs[0], "failure", [["set up"], fences])
    text = summary(target, demo, run, accept="text/markdown").text
    outside = outside_code(text)
    for sign in ("<script", "@reader", "[x](", "evil", "<i>", "~~~", "$x$", "&lt;", "# h"):
        assert sign in text and sign not in outside, (sign, outside)
    assert harmless(text)
    table = summary(target, demo, run, accept="text/plain").text
    assert harmless(table) and "@reader" in table


def outside_code(markdown: str) -> str:
    """What CommonMark reads as anything but code: lines out of fences, and of these what is out of code spans."""
    kept, fence = [], ""
    for line in markdown.split("\n"):
        ticks = len(line) - len(line.lstrip("`"))
        if fence:
            if line == fence:
                fence = ""
        elif ticks >= 3 and "`" not in line[ticks:]:
            fence = "`" * ticks
        else:
            kept.append(_outside_spans(line))
    assert not fence, "a fence is not closed"
    return "\n".join(kept)


def _outside_spans(line: str) -> str:
    """A run of backticks opens a span that the next run of the same length ends."""
    kept = ""
    while line:
        text, tick, rest = line.partition("`")
        kept += text
        if not tick:
            break
        opening = "`" + rest[: len(rest) - len(rest.lstrip("`"))]
        inside = rest[len(opening) - 1 :]
        place = 0
        while True:
            place = inside.find("`", place)
            assert place >= 0, f"a code span is not closed: {line!r}"
            run = len(inside[place:]) - len(inside[place:].lstrip("`"))
            if run == len(opening):
                break
            place += run
        line = inside[place + run :]
    return kept


def harmless(text: str) -> bool:
    """Nothing that a terminal obeys, or that turns or hides what is written."""
    return not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text.replace("\n", ""))
