"""The API's description as an HTML page. It loads nothing and has no scripts."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from addon.api.about.openapi import METHODS, SUFFIX, Json, document, resolved

TEMPLATE = Path(__file__).with_name("reference.html")
STYLE = re.compile("<style>([^<]*)</style>")
CODE = re.compile("`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Page:
    """The page, and a Content-Security-Policy that allows only the page's own style."""

    html: str
    policy: str


@functools.cache
def page(max_wait: int, collisions: str) -> Page:
    """The page for a proxy with these options; `max_wait` is in seconds."""
    whole = document(max_wait, collisions)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"prose": _prose, "kind": _kind, "value": _value}
    html = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        info=whole["info"],
        sections=_sections(whole),
        schemas=whole["components"]["schemas"],
        security=whole["components"]["securitySchemes"],
    )
    style = STYLE.search(html)
    digest = hashlib.sha256(style[1].encode() if style else b"").digest()
    allowed = f"style-src 'sha256-{base64.b64encode(digest).decode()}'"
    return Page(html, f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


def _sections(whole: Json) -> list[Json]:
    """The operations by tag. One with several paths is listed once."""
    listed: dict[str, Json] = {}
    for path, item in whole["paths"].items():
        for method in METHODS:
            if method in item:
                operation = _operation(whole, item, item[method]) | {"method": method.upper()}
                name = item[method]["operationId"].removesuffix(SUFFIX)
                listed.setdefault(name, operation | {"id": name, "paths": []})["paths"].append(path)
    return [
        tag | {"operations": [each for each in listed.values() if each["tags"] == [tag["name"]]]}
        for tag in whole["tags"]
    ]


def _operation(whole: Json, item: Json, operation: Json) -> Json:
    """One operation, with all references resolved."""
    given = [*item.get("parameters", ()), *operation.get("parameters", ())]
    answers = {status: resolved(whole, answer) for status, answer in sorted(operation["responses"].items())}
    return operation | {
        "parameters": [resolved(whole, each) for each in given],
        "responses": answers,
        "examples": list(_examples(whole, answers)),
    }


def _examples(whole: Json, answers: Json) -> Iterator[tuple[str, str, str]]:
    """Status, media type and text of each example of a successful response."""
    for status, answer in answers.items():
        for media_type, content in answer.get("content", {}).items() if status < "300" else ():
            for example in content.get("examples", {}).values():
                value = resolved(whole, example)["value"]
                yield status, media_type, value if isinstance(value, str) else json.dumps(value, indent=2)


def _prose(text: str) -> Markup:
    """Paragraphs with inline code, which is all the Markdown that the description uses."""
    paragraphs = (CODE.sub(r"<code>\1</code>", str(escape(each))) for each in text.strip().split("\n\n"))
    return Markup("".join(f"<p>{each}</p>" for each in paragraphs))  # noqa: S704  # it is escaped


def _kind(schema: Json) -> str:
    """A value's type in a few words. The description explains patterns."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    kinds = schema.get("type", "")
    words = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if "items" in schema:
        words = words.replace("array", f"array of {_kind(schema['items'])}")
    if "minimum" in schema or "maximum" in schema:
        words += f" {schema.get('minimum', '')}…{schema.get('maximum', '')}"
    if "enum" in schema:
        words = " | ".join(_value(each) for each in schema["enum"])
    return f"{words}, default {_value(schema['default'])}" if "default" in schema else words


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
