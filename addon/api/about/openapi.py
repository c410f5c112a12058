"""The API's description: `openapi.yaml`, with the values that differ between proxies filled in."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from addon import __version__
from addon.api import routes

Json = dict[str, Any]
FILE = Path(__file__).with_name("openapi.yaml")
# An operation at two paths needs two names; the one at the longer path gets the suffix.
BY_NUMBER, SUFFIX = "/runs/by-number/", "ByNumber"
METHODS = ("get", "post")
RUN = {"$ref": "#/components/parameters/run"}


@functools.cache
def document(max_wait: int, collisions: str) -> Json:
    """The whole document. Callers must not change it.

    `max_wait` and `collisions` are the proxy's options: the largest `wait` in seconds, and what {x} is in `runs/{x}/…`.
    """
    found = copy.deepcopy(_read())  # YAML anchors share objects that are changed separately
    items = found["components"].pop("pathItems")
    by_run_id = found.pop("x-paths-by-run-id")
    paths = {_where(path, collisions): item for path, item in found["paths"].items()}
    paths |= by_run_id if collisions == "native" else {}
    found["paths"] = {
        path: _placed(items[item["$ref"].rpartition("/")[2]], path) if "$ref" in item else item
        for path, item in paths.items()
    }
    found["info"]["version"] = __version__
    found["components"]["parameters"]["wait"]["schema"]["maximum"] = max_wait
    return found


@functools.cache
def as_json(max_wait: int, collisions: str) -> bytes:
    """The document as JSON."""
    return json.dumps(document(max_wait, collisions), ensure_ascii=False, separators=(",", ":")).encode()


def resolved(whole: Mapping[str, Any], node: Json) -> Json:
    """The node itself, or the node that its `$ref` names."""
    while "$ref" in node:
        found: Any = whole
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _read() -> Json:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # not every build has the fast one
    found: Json = yaml.load(FILE.read_text(encoding="utf-8"), loader)  # noqa: S506  # both are safe loaders
    return found


def _where(path: str, collisions: str) -> str:
    """The path at which the extension answers. If `runs/{x}/…` has an id there, it answers only for `latest`."""
    takes_id = collisions == "native" and routes.collides(path.replace("{run}", "1"))
    return path.replace("{run}", "latest") if takes_id else path


def _placed(item: Json, path: str) -> Json:
    placed = copy.deepcopy(item)
    placed["parameters"] = [each for each in item["parameters"] if each != RUN or "{run}" in path]
    for method in METHODS:
        if method in placed and BY_NUMBER in path:
            placed[method]["operationId"] += SUFFIX
    return placed
