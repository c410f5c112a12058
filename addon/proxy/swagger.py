"""The extension's routes in Forgejo's own API description, which is Swagger 2.0, for its page /api/swagger.

Nothing of Forgejo's is changed or left out. What isn't the document that is expected stays as it is, byte for byte.
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
from addon.settings import Settings

PATH = "/swagger.v1.json"
BASE = "/api/v1"
# Bytes of the document, packed or not; Forgejo 16 has 850 kB.
LIMIT = 8 << 20
GZIP = 31  # zlib's word for it
NAME = "ActionsExtension"
TAG = "actions extension"
# A client's copy, or a part of one, would be of Forgejo's document alone; and what tells one copy from another.
CONDITIONS = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range")
VALIDATORS = ("ETag", "Last-Modified", "Accept-Ranges", "Content-Length")
# What Swagger 2.0 shares with JSON Schema as it is.
KEPT = ("type", "format", "enum", "default", "minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern")
PARAMETER = re.compile(r"\{[^}]*\}")


def is_asked(request: http.Request) -> bool:
    """Whether it asks for the document, in a way in which a longer one can be sent."""
    target = request.path.partition("?")[0]
    return target == PATH and request.method == "GET" and request.http_version == "HTTP/1.1"


def ask_whole(request: http.Request) -> None:
    """Takes off what would make Forgejo answer with less."""
    for name in CONDITIONS:
        request.headers.pop(name, None)


def take(response: http.Response, settings: Settings) -> None:
    """Lets the document be sent with our routes in it, if this answer can hold it."""
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
    """Holds the document back until it is whole; one that is too large goes on as it comes."""

    def __init__(self, packed: bool, settings: Settings) -> None:
        self._packed = packed
        self._settings = settings
        self._held = bytearray()
        self._passing = False

    def __call__(self, data: bytes) -> list[bytes]:
        """What to send for this part of the answer; an empty one is its end."""
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
    """Forgejo's document with our paths and definitions behind its own; None if it isn't what is expected."""
    try:
        whole = json.loads(body)
        if whole["swagger"] != "2.0" or not whole["basePath"].endswith(BASE):
            return None
        there = {(PARAMETER.sub("{}", path), method) for path, item in whole["paths"].items() for method in item}
        for path, method, operation in _operations(settings.max_wait, settings.collisions):
            if (PARAMETER.sub("{}", path), method) not in there:
                whole["paths"].setdefault(path, {})[method] = operation
        whole["definitions"].update(_definitions(settings.max_wait))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _unpacked(body: bytes) -> bytes | None:
    unpacking = zlib.decompressobj(GZIP)
    try:
        plain = unpacking.decompress(body, LIMIT)
    except zlib.error:
        return None
    return plain if unpacking.eof else None


@functools.cache
def _operations(max_wait: int, collisions: str) -> tuple[tuple[str, str, Json], ...]:
    """Path, method and operation of what the extension answers."""
    whole = openapi.document(max_wait)
    return tuple(
        (path.removeprefix(BASE), method, _operation(whole, item, item[method]))
        for path, item in whole["paths"].items()
        for method in openapi.METHODS
        if method in item and routes.is_ours(_sample(path), collisions, lists_runs=False)
    )


def _sample(path: str) -> str:
    """A target of this path, with a run's number."""
    return path.replace("{run}", "1").replace("{", "").replace("}", "")


@functools.cache
def _definitions(max_wait: int) -> Mapping[str, Json]:
    return {f"{NAME}{name}": schema(each) for name, each in openapi.document(max_wait)["components"]["schemas"].items()}


def _operation(whole: Json, item: Json, operation: Json) -> Json:
    answers = {status: resolved(whole, each) for status, each in operation["responses"].items()}
    given = [*item.get("parameters", ()), *operation.get("parameters", ())]
    return {
        "produces": sorted({media_type for answer in answers.values() for media_type in answer.get("content", {})}),
        "tags": [TAG],
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "operationId": f"{NAME}-{operation['operationId']}",
        "parameters": [_parameter(resolved(whole, each)) for each in given],
        "responses": {status: _answer(whole, each) for status, each in answers.items()},
    }


def _parameter(told: Json) -> Json:
    found = {name: told[name] for name in ("name", "in", "required", "description") if name in told}
    return found | schema(told["schema"])


def _answer(whole: Json, told: Json) -> Json:
    found: Json = {"description": told["description"]}
    contents = dict(told.get("content", {}))
    if "application/json" in contents:
        found["schema"] = schema(contents["application/json"]["schema"])
    elif contents:
        found["schema"] = {"type": "file" if "application/zip" in contents else "string"}
    headers = {name: resolved(whole, each) for name, each in told.get("headers", {}).items()}
    if headers:
        found["headers"] = {
            name: {"type": "string", "description": each["description"]} | schema(each["schema"])
            for name, each in headers.items()
        }
    return found


def schema(told: Json) -> Json:
    """A schema of OpenAPI 3.1 as Swagger 2.0 can say it: it has no null and no alternatives."""
    if "$ref" in told:
        return {"$ref": f"#/definitions/{NAME}{told['$ref'].rpartition('/')[2]}"}
    return dict(_schema(told))


def _schema(told: Json) -> Iterator[tuple[str, Any]]:
    for name in KEPT:
        if name in told and name not in ("type", "enum"):
            yield name, told[name]
    kinds = told.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    real = [kind for kind in kinds if kind != "null"]
    if len(real) == 1:
        yield "type", real[0]
    if "null" in kinds:
        yield "x-nullable", True
    words = [word for word in told.get("enum", [told["const"]] if "const" in told else []) if word is not None]
    if words:
        yield "enum", words
    if "description" in told:
        yield "description", told["description"]
    if "items" in told:
        yield "items", schema(told["items"])
    if "properties" in told:
        yield "properties", {name: schema(each) for name, each in told["properties"].items()}
    if "required" in told:
        yield "required", told["required"]
    if isinstance(told.get("additionalProperties"), dict):
        yield "additionalProperties", schema(told["additionalProperties"])
