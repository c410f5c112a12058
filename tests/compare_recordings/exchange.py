"""A recorded exchange: a request, and what a real server answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests


@dataclass(frozen=True)
class Exchange:
    """One recorded request and its answer."""

    name: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: str


def load(folder: Path) -> list[Exchange]:
    found = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        answer = content["response"]
        found.append(Exchange(path.stem, content["request"], answer["status"], answer["headers"], answer["body"]))
    return found


def set_cookies(answer: requests.Response) -> list[tuple[str, str]]:
    """Names and values, in order."""
    lines = answer.raw.headers.getlist("Set-Cookie")
    return [(line.partition("=")[0], line.partition("=")[2].partition(";")[0]) for line in lines]
