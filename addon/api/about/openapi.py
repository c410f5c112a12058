"""The API's description: `openapi.yaml`, read once, with what differs between proxies put in."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from addon import __version__

Json = dict[str, Any]
FILE = Path(__file__).with_name("openapi.yaml")
# Operations under both kinds of paths; each has a name of its own.
BY_NUMBER, SUFFIX = "/runs/by-number/", "ByNumber"
METHODS = ("get", "post")


@functools.cache
def document(max_wait: int) -> Json:
    """The whole, whose largest `wait` is so many seconds. Path items are in their places. Not to be changed."""
    found = copy.deepcopy(_read())  # what anchors share must not be changed together
    items = found["components"].pop("pathItems")
    for path, item in found["paths"].items():
        if "$ref" in item:
            found["paths"][path] = _placed(items[item["$ref"].rpartition("/")[2]], path)
    found["info"]["version"] = __version__
    found["components"]["parameters"]["wait"]["schema"]["maximum"] = max_wait
    return found


@functools.cache
def as_json(max_wait: int) -> bytes:
    """The same, to be sent."""
    return json.dumps(document(max_wait), ensure_ascii=False, separators=(",", ":")).encode()


def resolved(whole: Mapping[str, Any], node: Json) -> Json:
    """What a node stands for: itself, or what its `$ref` names within the document."""
    while "$ref" in node:
        found: Any = whole
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _read() -> Json:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is not in every build
    found: Json = yaml.load(FILE.read_text(encoding="utf-8"), loader)  # noqa: S506  # it is a safe one
    return found


def _placed(item: Json, path: str) -> Json:
    placed = copy.deepcopy(item)
    for method in METHODS:
        if method in placed and BY_NUMBER in path:
            placed[method]["operationId"] += SUFFIX
    return placed
