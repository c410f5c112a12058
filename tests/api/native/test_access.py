"""Every caller × every route by id: the expected status, and no refusal touches the administrator's session."""

from __future__ import annotations

import pytest

from tests.api.native.conftest import ById
from tests.forgejo.access_table import BY_ID
from tests.forgejo.test_access_table import check

# On 15 tokens can be limited to repositories. Before v16 the extension answers all of these routes.
VERSIONS = ("v12", "v15")


@pytest.mark.parametrize("by_id", VERSIONS, indirect=True)
@pytest.mark.parametrize("operation", BY_ID)
def test_every_caller_and_route(by_id: ById, unique: str, operation: str) -> None:
    check(by_id, unique, operation)
