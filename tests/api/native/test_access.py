"""Every caller × every route by id: the expected status, and no refusal touches the administrator's session."""

from __future__ import annotations

import pytest

from tests.api.native.conftest import ById
from tests.forgejo.access_table import BY_ID
from tests.forgejo.test_access_table import check

# On 15 tokens can be limited to repositories. Before v16 the extension answers all of these routes, and all ask the same.
CASES = [("v12", "run-jobs"), ("v12", "run-cancel"), *(("v15", operation) for operation in BY_ID)]


@pytest.mark.parametrize(("by_id", "operation"), CASES, indirect=["by_id"])
def test_every_caller_and_route(by_id: ById, unique: str, operation: str) -> None:
    check(by_id, unique, operation)
