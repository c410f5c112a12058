"""The parsers on their own: durations, times, links, and pages that are not what they should be."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from parsel import Selector

from addon.errors import UpstreamUnexpected
from addon.forgejo.parsers import run_page, values
from addon.forgejo.parsers.run_list import run_list
from addon.model import Repo, Status

REPO = Repo("org", "repo")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("7s", 7), ("1m3s", 63), ("2h0m0s", 7200), ("1.5s", 1.5), ("250ms", 0.25), ("-539h49m51s", None),
     ("", None), ("soon", None), ("1m-3s", None)],
)  # fmt: skip
def test_duration(text: str, seconds: float | None) -> None:
    assert values.duration(text) == seconds


def test_the_epoch_is_no_time() -> None:
    assert values.time("1970-01-01T00:00:00Z") is None
    assert values.time("0001-01-01T00:00:00Z") is None
    assert values.time("-") is None
    moment = values.time("2026-11-01T12:00:00+02:00")
    assert moment is not None and moment.isoformat() == "2026-11-01T10:00:00+00:00"


def test_a_status_of_a_later_version_is_unknown() -> None:
    assert values.status("paused") is Status.UNKNOWN
    assert values.status("success") is Status.SUCCESS


def test_run_link_takes_sub_path_and_attempt() -> None:
    link = values.run_link("/sub/org/repo/actions/runs/12/jobs/3/attempt/2")
    assert (link.sub_path, link.repo, link.number, link.attempt) == ("/sub", REPO, 12, 2)
    with pytest.raises(UpstreamUnexpected):
        values.run_link("/user/login")


def view(**changes: Any) -> dict[str, Any]:
    """A view as v15 writes it, with changes to its run."""
    run = {
        "link": "/org/repo/actions/runs/1",
        "title": 'a <b>title</b> "quoted"',
        "status": "success",
        "canCancel": False,
        "canRerun": True,
        "done": True,
        "jobs": [{"id": 3, "name": "build", "status": "success", "canRerun": True, "duration": "3s"}],
        "commit": {
            "link": "/org/repo/commit/" + "a" * 40,
            "pusher": {"displayName": "Al Ice", "link": "/alice"},
            "branch": {"name": "main", "link": "/org/repo/src/branch/main"},
        },
    }
    steps = [{"summary": "Set up job", "duration": "-5h0m0s", "status": "success"}]
    return {"state": {"run": run | changes, "currentJob": {"title": "build", "steps": steps}}}


PAGE = run_page.RunPage("ci.yml", None, None, None)


def test_a_run_is_read_from_the_view() -> None:
    run = run_page.run(REPO, 1, 0, PAGE, view())
    assert run.title == 'a <b>title</b> "quoted"'
    assert (run.head_sha, run.actor, run.head_branch) == ("a" * 40, "alice", "main")
    assert run.done and run.jobs[0].duration_seconds == 3
    assert run.detail.steps[0].duration_seconds is None
    assert run.detail.attempts is None


@pytest.mark.parametrize("link", ["/org/repo/actions/runs/2", "/org/other/actions/runs/1"])
def test_another_run_is_refused(link: str) -> None:
    with pytest.raises(UpstreamUnexpected, match="another run"):
        run_page.run(REPO, 1, 0, PAGE, view(link=link))


@pytest.mark.parametrize("field", ["link", "title", "status", "jobs", "commit", "done", "canRerun"])
def test_a_missing_field_is_said_never_guessed(field: str) -> None:
    broken = view()
    del broken["state"]["run"][field]
    with pytest.raises(UpstreamUnexpected):
        run_page.run(REPO, 1, 0, PAGE, broken)


def test_a_run_is_not_done_while_a_job_runs() -> None:
    job = {"id": 4, "name": "slow", "status": "running", "canRerun": False, "duration": "1s"}
    jobs = [*view()["state"]["run"]["jobs"], job]
    assert not run_page.run(REPO, 1, 0, PAGE, view(status="failure", jobs=jobs)).done


def test_a_page_without_its_element_is_unexpected() -> None:
    for html in ("", "<html></html>", '<div id="repo-action-view"></div>'):
        with pytest.raises(UpstreamUnexpected):
            run_page.run_page(html)


def test_the_list_needs_rows_or_a_placeholder() -> None:
    with pytest.raises(UpstreamUnexpected):
        run_list("<html></html>")
    with pytest.raises(UpstreamUnexpected):
        run_list('<div class="run-list"></div>')
    assert run_list('<div class="run-list"><div class="empty-placeholder"></div></div>').rows == ()


def test_a_title_with_links_of_its_own_is_one_title() -> None:
    """Since v17 the list renders a title's links inside the link to the run."""
    title = 'see <a href="/o/r/actions/runs/9">run 9</a> and <a href="/o/r/issues/2">#2</a>'
    row = (
        '<div class="flex-item"><div class="flex-item-leading"><svg class="octicon-meter"></svg></div>'
        '<div class="flex-item-main"><div class="flex-item-title">'
        f'<a title="see run 9 and #2" href="/o/r/actions/runs/7">{title}</a></div>'
        '<div class="flex-item-body"><b>ci.yml #7</b></div></div></div>'
    )
    (found,) = run_list(f'<div class="run-list">{row}</div>').rows
    assert (found.number, found.title) == (7, "see run 9 and #2")


def test_times_are_read_in_both_forms_that_an_account_can_choose() -> None:
    """`absolute-time-…` was seen in code that may become a later version's."""
    moment = datetime(2026, 11, 24, 16, 0, 0, tzinfo=UTC)
    for html in (
        '<relative-time datetime="2026-11-24T16:00:00Z">x</relative-time>',
        f'<span data-testid="absolute-time-{int(moment.timestamp())}">x</span>',
    ):
        assert values.shown_time(Selector(f"<div>{html}</div>", type="html")) == moment
    for html in ("-", '<span data-testid="absolute-time-">x</span>', '<span data-testid="absolute-time-1x">x</span>'):
        assert values.shown_time(Selector(f"<div>{html}</div>", type="html")) is None


@example("", "", '"\x1f')  # an attribute whose name is a control character
@given(st.text(), st.text(), st.text())
def test_a_hostile_row_is_a_run_or_unexpected(name: str, href: str, body: str) -> None:
    row = (
        f'<div class="flex-item"><div class="flex-item-leading"><svg class="{name}"></svg></div>'
        f'<div class="flex-item-main"><a href="/o/r/actions/runs/1{href}" title="{body}">{body}</a>'
        f'<div class="flex-item-body"><b>{name}#1</b>{body}</div></div></div>'
    )
    try:
        found = run_list(f'<div class="run-list">{row}</div>')
    except UpstreamUnexpected:
        return
    assert all(each.repo == Repo("o", "r") and each.number == 1 for each in found.rows)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_hostile_json_never_gets_past(value: Any) -> None:
    text = json.dumps({"state": value})
    with pytest.raises(UpstreamUnexpected):
        run_page.run(REPO, 1, 0, PAGE, json.loads(text))
