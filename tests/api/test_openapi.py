"""The API's description: the same routes and parameters as the code's, examples that fit, and answers that do."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from addon.actions.query import Parameters
from addon.api import body, parameters, routes
from addon.api.about import openapi, pages
from addon.api.native import paths as paths_by_id
from addon.errors import BadRequest
from addon.settings import MOST_WAIT
from tests.support import contract

BASE = "/api/v1/repos/{owner}/{repo}/actions/runs"
DOCUMENT = openapi.document(MOST_WAIT, "extension")
COMPONENTS = DOCUMENT["components"]
OPTIONS = ("extension", "native")
# Where the default is another one by action, or an option's.
DEPENDS = {"job", "attempt", "page", "limit"}


def operations(document: dict[str, Any] = DOCUMENT) -> dict[tuple[str, str], dict[str, Any]]:
    """Method and path of each, with all its parameters."""
    return {
        (method.upper(), path): {
            **item[method],
            "parameters": [*item.get("parameters", []), *item[method].get("parameters", [])],
        }
        for path, item in document["paths"].items()
        for method in item
        if method in openapi.METHODS
    }


def paths(action: str) -> set[str]:
    """Where an action is served, by its name and the tables in routes.py."""
    many = {one: name for name, one in routes.ONE_OF.items()}
    if action == "runs":
        return {BASE}
    if action == "list":
        return {f"{BASE}/by-number"}
    if action == "info":
        return {f"{BASE}/latest", f"{BASE}/by-number/{{run}}"}
    tail = f"{many[action]}/{{{'name' if action == 'artifact' else action}}}" if action in many else action
    return {f"{BASE}/{{run}}/{tail}", f"{BASE}/by-number/{{run}}/{tail}"}


def test_the_routes_are_the_codes() -> None:
    told = {place for place in operations() if place[1].startswith(BASE)}
    methods = {"GET, HEAD": "GET", "POST": "POST"}
    assert told == {(methods[route.methods], path) for action, route in routes.ROUTES.items() for path in paths(action)}


@pytest.mark.parametrize("collisions", OPTIONS)
def test_the_routes_by_id_are_the_codes(collisions: str) -> None:
    found = operations(openapi.document(MOST_WAIT, collisions))
    by_id = {place for place, operation in found.items() if operation["tags"] == ["by id"]}
    told = {(method, re.sub(r"\{(job|run)_id\}", "{id}", path)) for method, path in by_id}
    base = "/api/v1/repos/{owner}/{repo}/actions/"
    assert told == {
        (method, base + route)
        for route, method in paths_by_id.METHODS.items()
        if paths_by_id.is_ours(base + route.replace("{id}", "7"), collisions, None)
    }
    for place in by_id:
        given = {each["name"] for each in found[place]["parameters"] if each.get("in") == "path"}
        assert given == {"job_id" if "{job_id}" in place[1] else "run_id"}


def test_a_run_number_is_described_only_where_the_extension_takes_one() -> None:
    default, native = ({path for _, path in operations(openapi.document(MOST_WAIT, name))} for name in OPTIONS)
    assert default - native == {
        path for path in default if not routes.is_ours(path.replace("{run}", "7"), "native", False) and "/runs/" in path
    }
    latest = {path.replace("{run}", "latest") for path in default - native}
    by_run_id = {path for path in native if "{run_id}" in path}
    assert len(latest) == 7 and len(by_run_id) == 5 and native - default == latest | by_run_id
    for path in latest:
        given = openapi.document(MOST_WAIT, "native")["paths"][path]["parameters"]
        assert {"$ref": "#/components/parameters/run"} not in given


def test_the_extensions_pages_are_the_codes() -> None:
    own_base = "/api/v1/actions-extensions"
    told = {place for place in operations() if place[1].startswith(own_base)}
    assert told == {("GET", f"{own_base}/{name}".rstrip("/")) for name in pages.PAGES}


@pytest.mark.parametrize("action", routes.ROUTES)
def test_the_parameters_are_the_codes(action: str) -> None:
    for path in paths(action):
        operation = next(each for (_, place), each in operations().items() if place == path)
        given = [openapi.resolved(DOCUMENT, each) for each in operation["parameters"]]
        names = [each["name"] for each in given if each["in"] == "query"]
        assert sorted(names) == sorted(routes.ROUTES[action].parameters)
        assert {each["name"] for each in given if each["in"] == "path"} == set(re.findall(r"\{(\w+)\}", path))


@pytest.mark.parametrize("action", ["rerun", "cancel"])
def test_a_bodys_parameters_are_the_codes(action: str) -> None:
    for path in paths(action):
        contents = operations()["POST", path]["requestBody"]["content"]
        assert set(contents) == {body.JSON, body.FORM}
        for content in contents.values():
            properties = openapi.resolved(DOCUMENT, content["schema"])["properties"]
            assert properties.keys() == routes.ROUTES[action].parameters  # type: ignore[index]
            for name, schema in properties.items():
                words = {bool: "boolean", int: "integer", str: "string"}
                assert {words[each] for each in parameters.json_types(name)[0]} == {*as_list(schema["type"])}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_each_parameter_is_described() -> None:
    assert {each["name"] for each in COMPONENTS["parameters"].values() if each["in"] == "query"} == set(
        parameters.PARSERS
    )


def query_parameters() -> list[Any]:
    return [
        pytest.param(each, name.partition("Of")[2].lower(), id=name)
        for name, each in COMPONENTS["parameters"].items()
        if each["in"] == "query"
    ]


def takes(parser: parameters.Parser, name: str, text: str) -> bool:
    try:
        parser(name, text)
    except BadRequest:
        return False
    return True


@pytest.mark.parametrize(("told", "action"), query_parameters())
def test_a_parameters_limits_and_default_are_the_parsers(told: dict[str, Any], action: str) -> None:
    name, schema = told["name"], told["schema"]
    parser = parameters.parsers_of([name], action, MOST_WAIT)[name]
    default = next((field.default for field in dataclasses.fields(Parameters) if field.name == name), None)
    assert name in DEPENDS or schema.get("default") == default
    for text in BORDERS:
        assert takes(parser, name, text) == fits(schema, text), f"{name}={text!r}"
    if "enum" in schema:
        with pytest.raises(BadRequest) as refused:
            parser(name, "no such word")
        words = refused.value.message.removeprefix(f"{name} takes ").partition(", not ")[0]
        assert sorted(schema["enum"]) == sorted(word for word in re.split(r", | or ", words) if word)


# Values at the borders of some parameter, tried on all of them.
BORDERS = [
    "", "0", "1", "00", "01", "+1", "-1", "1.0", "19", "20", "50", "51", "1000", "1001", "3600", "3601", "9999", "10000",
    "999999", "1000000", "1000001", "999999999", "1234567890", "9" * 18, "true", "false", "True", "yes", "latest", "all",
    "failed", "done", "started", "text", "zip", "required", "completed", "success", "abcdef", "abcdef0", "ABCDEF0", "a" * 64,
    "a" * 65, "x" * 255, "x" * 256, "x" * 1000, "x" * 1001, "a\tb", "a\x7f", "ünïcödé ✓", "#12", "a b",
]  # fmt: skip


def fits(schema: dict[str, Any], text: str) -> bool:
    """Whether a query's text is of a schema. Of switches the description tells in words that 1 and 0 do too."""
    kind = schema["type"]
    if kind == "boolean":
        return text in ("true", "false", "1", "0")
    if kind == "integer":
        return re.fullmatch(r"0|[1-9][0-9]*", text) is not None and not contract.errors(schema, int(text))
    return not contract.errors(schema, text)


def test_every_object_tells_all_that_it_holds_as_required() -> None:
    optional = {"Error", "ErrorById", "JobById", "LogEvent", "RerunBody", "CancelBody"}
    for name, schema in COMPONENTS["schemas"].items():
        for each in contract.schemas(schema):
            if "properties" in each:
                same = set(each.get("required", [])) == set(each["properties"])
                assert same or name in optional, (name, set(each["properties"]) ^ set(each.get("required", [])))


def test_every_example_fits() -> None:
    seen = 0
    for (method, path), operation in operations().items():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for each in content.get("examples", {}).values():
                assert not contract.errors(content["schema"], openapi.resolved(DOCUMENT, each)["value"]), path
        for status, response in operation["responses"].items():
            for media_type, content in openapi.resolved(DOCUMENT, response).get("content", {}).items():
                values = [openapi.resolved(DOCUMENT, each)["value"] for each in content.get("examples", {}).values()]
                values += [content["example"]] if "example" in content else []
                for value in values:
                    seen += 1
                    assert not contract.errors(strict(method, path, status, media_type), value), (method, path, status)
    assert seen > 40
    for parameter in COMPONENTS["parameters"].values():
        if "example" in parameter:
            assert not contract.errors(parameter["schema"], parameter["example"]), parameter["name"]


def strict(method: str, path: str, status: str, media_type: str) -> dict[str, Any]:
    whole = contract.document("extension")
    answer = openapi.resolved(whole, whole["paths"][path][method.lower()]["responses"][status])
    schema: dict[str, Any] = answer["content"][media_type]["schema"]
    return schema


@pytest.mark.parametrize("collisions", OPTIONS)
def test_nothing_is_described_in_vain(collisions: str) -> None:
    text = openapi.as_json(300, collisions).decode()
    for kind, named in COMPONENTS.items():
        for name in named:
            used = f'"#/components/{kind}/{name}"' in text or kind == "securitySchemes" or name == "LogEvent"
            assert used, f"{kind}/{name}"
    names = [operation["operationId"] for operation in operations(openapi.document(300, collisions)).values()]
    assert len(set(names)) == len(names)
    given = {name for each in DOCUMENT["security"] for name in each}
    assert given == set(COMPONENTS["securitySchemes"])
