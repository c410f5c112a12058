"""Adds the extension's routes to Forgejo's own API description (Swagger 2.0), which its page /api/swagger shows.

A route of Forgejo's is replaced where the extension answers it. An unexpected document passes unchanged.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from mitmproxy import http

from addon.api import routes
from addon.api.about import openapi
from addon.api.about.openapi import Json, resolved
from addon.api.native import paths as by_id
from addon.forgejo import versions
from addon.settings import Settings

PATH = "/swagger.v1.json"
BASE = "/api/v1"
# The largest document, compressed or not, in bytes. Forgejo 16's has 850 kB.
LIMIT = 8 << 20
GZIP = 31  # zlib's code for the gzip format
NAME = "ActionsExtension"
TAG = "actions extension"
JSON = "application/json"
# Headers that refer to a client's copy of Forgejo's document, and those that identify a copy.
CONDITIONS = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range")
VALIDATORS = ("ETag", "Last-Modified", "Accept-Ranges", "Content-Length")
# What Swagger 2.0 shares with JSON Schema as it is.
KEPT = ("type", "format", "enum", "default", "minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern")
PARAMETER = re.compile(r"\{[^{}]*\}")


def is_asked(request: http.Request) -> bool:
    """Whether the request asks for the document, and can get a longer one."""
    target = request.path.partition("?")[0]
    return target == PATH and request.method == "GET" and request.http_version == "HTTP/1.1"


def ask_whole(request: http.Request) -> None:
    """Removes the headers that would make Forgejo send less than the whole document."""
    for name in CONDITIONS:
        request.headers.pop(name, None)


def take(response: http.Response, settings: Settings) -> None:
    """Prepares a response to be sent with the added routes, if it is the document."""
    headers = response.headers
    json_like = headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/json"
    packing = headers.get("Content-Encoding", "identity").lower()
    length = headers.get("Content-Length", "0")
    small = length.isdecimal() and int(length) <= LIMIT
    if response.status_code != 200 or not json_like or not small or packing not in ("identity", "gzip"):
        return
    for name in VALIDATORS:
        headers.pop(name, None)
    headers["Transfer-Encoding"] = "chunked"
    response.stream = Merging(packing == "gzip", settings)


class Merging:
    """Holds the document back until it is complete. One that is too large passes as it arrives."""

    def __init__(self, packed: bool, settings: Settings) -> None:
        self._packed = packed
        self._settings = settings
        self._held = bytearray()
        self._passing = False

    def __call__(self, data: bytes) -> list[bytes]:
        """What to send for this part of the response. An empty part is its end."""
        if self._passing:
            return [data] if data else []
        self._held += data
        if data and len(self._held) <= LIMIT:
            return []
        self._passing = True
        whole = bytes(self._held)
        self._held.clear()
        return [whole] if data else [self._merged(whole)]

    def _merged(self, whole: bytes) -> bytes:
        plain = _unpacked(whole) if self._packed else whole
        found = None if plain is None else merged(plain, self._settings)
        if found is None:
            return whole
        return gzip.compress(found, 6) if self._packed else found


def merged(body: bytes, settings: Settings) -> bytes | None:
    """Forgejo's document with the extension's paths and definitions added; None for an unexpected document."""
    try:
        whole = json.loads(body)
        if whole["swagger"] != "2.0" or not whole["basePath"].endswith(BASE):
            return None
        paths = whole["paths"]
        there = {(PARAMETER.sub("{}", path), method): path for path, item in paths.items() for method in item}
        major = versions.routes_major(whole.get("info", {}).get("version"))
        for path, method, operation in _operations(settings.max_wait, settings.collisions, major):
            forgejos = there.get((PARAMETER.sub("{}", path), method))
            if forgejos is not None and routes.is_ours(_sample(BASE + path), settings.collisions):
                _remove(paths, forgejos, method)
            elif forgejos is not None:
                continue
            paths.setdefault(path, {})[method] = operation
        whole["definitions"].update(_definitions(settings.max_wait, settings.collisions))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _remove(paths: dict[str, Json], path: str, method: str) -> None:
    """Two paths that differ in a parameter's name only are the same in Swagger: one must go."""
    del paths[path][method]
    if not paths[path]:
        del paths[path]


def _unpacked(body: bytes) -> bytes | None:
    unpacking = zlib.decompressobj(GZIP)
    try:
        plain = unpacking.decompress(body, LIMIT)
    except zlib.error:
        return None
    return plain if unpacking.eof else None


@functools.cache
def _operations(max_wait: int, collisions: str, major: int | None) -> tuple[tuple[str, str, Json], ...]:
    """Path, method and operation of every route that the extension answers."""
    whole = openapi.document(max_wait, collisions)
    return tuple(
        (path.removeprefix(BASE), method, _operation(whole, item, item[method]))
        for path, item in whole["paths"].items()
        for method in openapi.METHODS
        if method in item and _is_ours(_sample(path), collisions, major)
    )


def _is_ours(target: str, collisions: str, major: int | None) -> bool:
    return routes.is_ours(target, collisions, lists_runs=False) or by_id.is_ours(target, collisions, major)


def _sample(path: str) -> str:
    """A request target for this path, with a run number or an id."""
    return path.replace("{run}", "1").replace("{", "").replace("}", "")


@functools.cache
def _definitions(max_wait: int, collisions: str) -> Mapping[str, Json]:
    schemas = openapi.document(max_wait, collisions)["components"]["schemas"]
    return {f"{NAME}{name}": schema(each) for name, each in schemas.items()}


def _operation(whole: Json, item: Json, operation: Json) -> Json:
    answers = {status: resolved(whole, each) for status, each in operation["responses"].items()}
    given = [*item.get("parameters", ()), *operation.get("parameters", ())]
    consumes = operation.get("requestBody", {}).get("content", {})
    body = [{"name": "body", "in": "body", "schema": schema(consumes[JSON]["schema"])}] if JSON in consumes else []
    return {
        "consumes": sorted({JSON} & set(consumes)),
        "produces": sorted({media_type for answer in answers.values() for media_type in answer.get("content", {})}),
        "tags": [TAG],
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "operationId": f"{NAME}-{operation['operationId']}",
        "parameters": [_parameter(resolved(whole, each)) for each in given] + body,
        "responses": {status: _answer(whole, each) for status, each in answers.items()},
    }


def _parameter(node: Json) -> Json:
    found = {name: node[name] for name in ("name", "in", "required", "description") if name in node}
    return found | schema(node["schema"])


def _answer(whole: Json, node: Json) -> Json:
    found: Json = {"description": node["description"]}
    contents = dict(node.get("content", {}))
    if JSON in contents:
        found["schema"] = schema(contents[JSON]["schema"])
    elif contents:
        found["schema"] = {"type": "file" if "application/zip" in contents else "string"}
    headers = {name: resolved(whole, each) for name, each in node.get("headers", {}).items()}
    if headers:
        found["headers"] = {
            name: {"type": "string", "description": each["description"]} | schema(each["schema"])
            for name, each in headers.items()
        }
    return found


def schema(node: Json) -> Json:
    """A schema of OpenAPI 3.1 in Swagger 2.0, which has no null and no alternatives."""
    if "$ref" in node:
        return {"$ref": f"#/definitions/{NAME}{node['$ref'].rpartition('/')[2]}"}
    return dict(_schema(node))


def _schema(node: Json) -> Iterator[tuple[str, Any]]:
    for name in KEPT:
        if name in node and name not in ("type", "enum"):
            yield name, node[name]
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    real = [kind for kind in kinds if kind != "null"]
    if len(real) == 1:
        yield "type", real[0]
    if "null" in kinds:
        yield "x-nullable", True
    words = [word for word in node.get("enum", [node["const"]] if "const" in node else []) if word is not None]
    if words:
        yield "enum", words
    if "description" in node:
        yield "description", node["description"]
    if "items" in node:
        yield "items", schema(node["items"])
    if "properties" in node:
        yield "properties", {name: schema(each) for name, each in node["properties"].items()}
    if "required" in node:
        yield "required", node["required"]
    if isinstance(node.get("additionalProperties"), dict):
        yield "additionalProperties", schema(node["additionalProperties"])
