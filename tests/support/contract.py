"""Holds real answers of the extension to its own description, `addon/api/about/openapi.yaml`, strictly: nothing more, nothing less."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import requests

from addon.api.about import openapi
from addon.settings import MOST_WAIT

MARK = "X-Actions-Extension"
EVENT = re.compile(r"event: (\w+)\n(?:id: \S+\n)?data: (.*)")
_compiled: dict[int, Any] = {}


@functools.cache
def document(collisions: str) -> dict[str, Any]:
    """The description, in which no object may hold what it doesn't name."""
    found = copy.deepcopy(openapi.document(MOST_WAIT, collisions))
    for schema in schemas(found):
        if "properties" in schema and "const" not in schema["properties"].get("openapi", {}):
            schema["additionalProperties"] = False
    return found


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document that may be a schema."""
    if isinstance(node, Mapping):
        if "properties" not in node or isinstance(node.get("type"), (str, list)):
            yield node  # type: ignore[misc]
        for value in node.values():
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


def check(method: str, target: str, response: requests.Response, collisions: str = "extension") -> None:
    """Fails if it is an answer of the extension that its description doesn't have. Of a stream only the head is looked at.

    `collisions` is the proxy's option.
    """
    if MARK not in response.headers:
        return
    item = _item(target, collisions)
    told = item.get({"HEAD": "get"}.get(method, method.lower()))
    if told is None:
        assert response.status_code in (405, 503), f"{method} {target}: {response.status_code}"
        told = next(iter(each for name, each in item.items() if name in openapi.METHODS))
    status = str(response.status_code)
    assert status in told["responses"], f"{method} {target}: {status} is not described: {response.text[:200]}"
    answer = openapi.resolved(document("extension"), told["responses"][status])
    _check_headers(answer, response)
    if method != "HEAD":
        _check_body(answer, response)


def errors(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What is wrong with a value."""
    return [f"{error.instance_path}: {error.message}" for error in _validator(json.dumps(schema)).iter_errors(value)]


def _errors(schema: Mapping[str, Any], value: Any) -> list[str]:
    """The same for a schema of the document, which is found again by its identity."""
    if id(schema) not in _compiled:
        _compiled[id(schema)] = _validator(json.dumps(schema))
    return [] if _compiled[id(schema)].is_valid(value) else errors(schema, value)


def _item(target: str, collisions: str) -> dict[str, Any]:
    """The path item of a request target; any will do for a path that is an error by itself."""
    parts = [unquote(part) for part in target.partition("?")[0].split("/") if part]
    any_item: dict[str, Any] = document("extension")["paths"][
        "/api/v1/repos/{owner}/{repo}/actions/runs/by-number/{run}/logs"
    ]
    return next((item for fixed, item in _templates(collisions).get(len(parts), ()) if _fits(fixed, parts)), any_item)


@functools.cache
def _templates(collisions: str) -> dict[int, list[tuple[dict[int, str], dict[str, Any]]]]:
    """By their number of parts: the fixed parts of each path by position, and the path item. Those with most are first."""
    found: dict[int, list[tuple[dict[int, str], dict[str, Any]]]] = {}
    for path, item in sorted(document(collisions)["paths"].items(), key=lambda each: each[0].count("{")):
        parts = path.strip("/").split("/")
        fixed = {at: part for at, part in enumerate(parts) if not part.startswith("{")}
        found.setdefault(len(parts), []).append((fixed, item))
    return found


def _fits(fixed: Mapping[int, str], parts: list[str]) -> bool:
    return all(parts[at] == part for at, part in fixed.items())


def _check_headers(answer: Mapping[str, Any], response: requests.Response) -> None:
    for name, header in answer.get("headers", {}).items():
        header = openapi.resolved(document("extension"), header)
        if name not in response.headers:
            assert not header.get("required"), f"{response.url}: {response.status_code} without {name}"
            continue
        text = response.headers[name]
        value = int(text) if header["schema"].get("type") == "integer" else text
        assert not _errors(header["schema"], value), f"{response.url}: {name}: {text}"


def _check_body(answer: Mapping[str, Any], response: requests.Response) -> None:
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if "content" not in answer:
        return
    assert media_type in answer["content"], f"{response.url}: {response.status_code} {media_type} is not described"
    if not response._content_consumed:  # a stream, which is the test's to read
        return
    schema = answer["content"][media_type].get("schema", {})
    if media_type == "application/json":
        found = _errors(schema, response.json())
        assert not found, f"{response.url}: {found[:3]}"
    elif media_type == "text/event-stream":
        for name, data in EVENT.findall(response.content.decode()):
            event = document("extension")["components"]["schemas"]["LogEvent"]["properties"][name]
            assert not _errors(event, json.loads(data)), f"{response.url}: {name}: {data}"


@functools.cache
def _validator(schema: str) -> Any:
    whole = {"components": document("extension")["components"]} | json.loads(schema)
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
