"""What Forgejo says about a broken workflow file: where it is wrong, and what a version that says nothing shows."""

from __future__ import annotations

from typing import Any

import pytest

from addon.forgejo.parsers.workflow_problems import MOST_TEXT, NOT_TOLD, workflow_error, workflow_warnings
from addon.model import Job, JobDetail, Status, Step

DETAIL = JobDetail(0, "a push", (), None, None)
SCHEMA = (
    "Unable to parse jobs in workflow: model.ReadWorkflow: Line: 1 Column 1: Failed to match workflow-root: Line: 6 "
    "Column 5: Unknown Property runs-onn\nLine: 9 Column 9: Expected a mapping got scalar\n"
    "Forgejo Actions YAML Schema validation error"
)
REUSABLE = (
    'Unable to parse jobs in workflow: error expanding reusable workflow "./.forgejo/workflows/called.yml": '
    "model.ReadWorkflow: yaml: line 4: did not find expected key"
)


def jobs(*names: str, status: Status = Status.FAILURE) -> list[Job]:
    return [Job(index, index + 1, name, status, 0.0, True) for index, name in enumerate(names)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Unable to parse jobs in workflow: yaml: line 5: mapping values are not allowed", ("ci.yml", 5)),
        ("Unable to parse jobs in workflow: yaml: unmarshal errors:\n  line 7: cannot unmarshal", ("ci.yml", 7)),
        (SCHEMA, ("ci.yml", 6)),
        (REUSABLE, (".forgejo/workflows/called.yml", 4)),
        ("Job with ID b references unknown jobs in `needs`: a.", ("ci.yml", None)),
        ("Unable to evaluate: baseline 3 of x.yml: line 99: no", ("x.yml", 99)),
    ],
)
def test_where_a_file_is_wrong(text: str, place: tuple[str, int | None]) -> None:
    error = workflow_error({"preExecutionError": text}, "ci.yml", jobs("a push"), DETAIL)
    assert error is not None and error.message == text
    assert (error.file, error.line) == place


@pytest.mark.parametrize("text", ["", "  "])
def test_a_file_that_could_be_read(text: str) -> None:
    assert workflow_error({"preExecutionError": text, "title": "a push"}, "ci.yml", jobs("a push"), DETAIL) is None


def test_an_endless_error_is_cut() -> None:
    error = workflow_error({"preExecutionError": "x" * 100_000}, "ci.yml", jobs("a"), DETAIL)
    assert error is not None and len(error.message) == MOST_TEXT + 1


def test_a_version_that_says_nothing() -> None:
    """Its run has one failed job with the run's title that never ran. Any other run is told nothing about."""
    run: dict[str, Any] = {"title": "a push"}
    error = workflow_error(run, "ci.yml", jobs("a push"), DETAIL)
    assert error is not None and (error.message, error.place) == (NOT_TOLD, "ci.yml")
    ran = JobDetail(0, "a push", (Step(1, "Set up job", Status.FAILURE, 1.0),), None, None)
    assert workflow_error(run, "ci.yml", jobs("a push"), ran) is None
    assert workflow_error(run, "ci.yml", jobs("build"), DETAIL) is None
    assert workflow_error(run, "ci.yml", jobs("a push", "b"), DETAIL) is None
    assert workflow_error(run, "ci.yml", jobs("a push", status=Status.CANCELLED), DETAIL) is None


def test_warnings_lose_their_html() -> None:
    html = 'Job <code>a&amp;b</code> has a <code>permissions</code> field. Use <a href="/x">these</a>\n instead.'
    told = workflow_warnings({"preExecutionWarnings": [html, ""]})
    assert told == ("Job a&b has a permissions field. Use these instead.", "")
    assert workflow_warnings({"preExecutionWarnings": None}) == ()
    assert workflow_warnings({}) is None
