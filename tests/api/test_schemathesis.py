"""Requests made up from the API's description by schemathesis: whatever the answer is, the description has it."""

from __future__ import annotations

import copy
import functools
import os
import urllib.parse
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from addon.api.about import openapi
from tests.double import Double, JobSpec
from tests.support import contract
from tests.support.proxy import Proxy, start_proxy
from tests.support.sample import Sample, sample

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "7"))
MOST_WAIT = 1
# Values that mean something in the sample: made-up ones alone would find nothing.
RUNS = ["2", "2", "latest", "1", "2", "3", "4", "5", "99"]
JOBS = ["0", "1", "build", "test", "lint (mypy)", "all", "failed", "none"]
SENSIBLE = {
    "workflow_id": ["ci.yml"], "branch": ["main", "feature/x"], "event": ["push"], "status": ["failure", "success", "completed"],
    "actor": ["nobody"], "job": JOBS, "attempt": ["1", "latest"], "head_sha": ["0000000"],
    "step": [1, 2, 3], "tail": [1, 10],
}  # fmt: skip
SELECTING = ("workflow_id", "branch", "event", "status", "actor", "head_sha")
CHECKS = (
    "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance",
)  # fmt: skip
# The operations' names, each with its plain path.
NAMES = [
    f"{method.upper()} {path.removeprefix('/api/v1/')}"
    for path, item in openapi.document(MOST_WAIT, "extension")["paths"].items()
    for method in item
    if method in openapi.METHODS
]


@pytest.fixture(scope="module", params=["v7", "v15", "v17"] if "OPENAPI_EXAMPLES" in os.environ else ["v15"])
def stage(request: pytest.FixtureRequest) -> Iterator[tuple[Double, Proxy]]:
    """A stand-in with the proxy before it."""
    with Double(request.param) as double:
        admin = double.world.admin
        options = {"actions_max_wait": str(MOST_WAIT), "actions_metrics": "true"}
        with start_proxy(double.url, (admin.name, admin.password), options) as proxy:
            yield double, proxy


def runs_that_are_done(world: Any, unique: str) -> Sample:
    """A repository with such runs, one of them with an artifact, one with an expired log, one cancelled."""
    demo = sample(world, unique)
    world.artifact(demo.runs["failed"], "report", b"PK\x05\x06" + bytes(18))
    world.expire_logs(demo.runs["deploy"].jobs[0])
    world.cancel(world.run(demo.repo, jobs=[JobSpec("gone")]))
    return demo


@functools.cache
def library() -> Any:
    """schemathesis, which takes half a second to load: only the process that uses it does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        import schemathesis.specs.openapi.checks
    return schemathesis


@functools.cache
def described() -> dict[str, Any]:
    """The operations that it finds, by name: all that there are."""
    document = copy.deepcopy(openapi.document(MOST_WAIT, "extension"))
    del document["jsonSchemaDialect"]
    found = [each.ok() for each in library().openapi.from_dict(document).get_all_operations()]
    by_name = {each.label.replace("/api/v1/", ""): each for each in found}
    assert list(by_name) == NAMES
    return by_name


@pytest.mark.parametrize("label", NAMES)
def test_each_answer_is_described(stage: tuple[Double, Proxy], label: str, unique: str) -> None:
    (double, proxy), operation = stage, described()[label]
    checks = [getattr(library().specs.openapi.checks, each) for each in CHECKS]
    demo = runs_that_are_done(double.world, unique)
    owner, _, repo = demo.repo.full_name.partition("/")
    token = {"Authorization": f"token {demo.writer}"}
    job_ids = [7, *(job.id for run in demo.runs.values() for job in run.jobs)]
    # Since v12 the list is Forgejo's own, and since v16 and v17 the routes by id.
    name_of_operation = operation.definition.raw["operationId"]
    forgejos = name_of_operation == "listRuns" or name_of_operation.endswith("ById")

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(), data=st.data())
    def answers(case: Any, data: st.DataObject) -> None:
        query = _given(case.query)
        for name in list(query):
            if data.draw(st.integers(0, 4)) > (1 if name in SELECTING else 2):  # all of them together fit no run
                del query[name]
            elif name in SENSIBLE and data.draw(st.integers(0, 4)):
                query[name] = data.draw(st.sampled_from(SENSIBLE[name]))
        places = _given(case.path_parameters)
        places |= {"owner": owner, "repo": repo} if places else {}
        names = ["report", "report", "none"]
        for name, values in (("run", RUNS), ("job", JOBS), ("name", names), ("job_id", job_ids)):
            if name in places:
                places[name] = data.draw(st.sampled_from(values))
        case.query, case.path_parameters, case.headers = query, places, _given(case.headers)
        response = case.call(base_url=proxy.url, headers=token, timeout=20)
        if forgejos and contract.MARK not in _as_requests(response).headers:
            return
        seen.append(response.status_code)
        case.validate_response(response, checks=checks)
        path = case.path.format(**{name: urllib.parse.quote(str(value), safe="") for name, value in places.items()})
        contract.check(case.method, path, _as_requests(response))
        assert response.status_code < 500
        if response.status_code in (201, 204):  # a rerun has no runner here, and who follows it would wait for ever
            double.world.cancel(next(run for run in demo.repo.runs if not run.done))

    seen: list[int] = []
    answers()
    if operation.label.endswith("/cancel"):  # every run here is done
        assert 409 in seen
    elif seen and (not operation.label.endswith("/attempts") or proxy_has_attempts(proxy)):
        assert min(seen) < 400, f"only errors: {seen}"


def proxy_has_attempts(proxy: Proxy) -> bool:
    """By what the extension says itself."""
    index = requests.get(f"{proxy.url}/api/v1/actions-extensions", timeout=20).json()
    return bool(index["capabilities"]["attempts"])


def _given(values: Any) -> dict[str, Any]:
    return {} if values is library().core.NOT_SET or values is None else dict(values)


def _as_requests(response: Any) -> requests.Response:
    """The same answer as the other tests have them."""
    found = requests.Response()
    found.status_code, found._content, found.url = response.status_code, response.content, response.request.url
    found._content_consumed = True
    found.headers.update({name: values[0] for name, values in response.headers.items()})
    return found
