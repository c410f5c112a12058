"""A request's body as parameters: JSON or a form, with the query's names and strictness. Pure functions.

A body that can't be read this way is an error. It is never ignored: a change could be another one than was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

from addon.api import parameters
from addon.errors import BadRequest, ContentTooLarge, UnsupportedMediaType
from addon.limits import MOST_BODY

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
WHITE_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, with the headers Content-Type and Content-Encoding."""

    data: bytes = b""
    content_type: str = ""
    encoding: str = ""

    def pairs(self) -> Sequence[tuple[str, str]]:
        """Its parameters in the query's spelling. Raises ContentTooLarge, UnsupportedMediaType or BadRequest."""
        if len(self.data) > MOST_BODY:
            raise ContentTooLarge(f"the body has more than {MOST_BODY} bytes")
        if not self.data.strip(WHITE_SPACE):
            return ()
        header = Message()
        header["Content-Type"] = self.content_type
        kind = header.get_content_type() if self.content_type else ""
        if (
            kind not in (JSON, FORM)
            or str(header.get_param("charset", "utf-8")).lower() != "utf-8"
            or self.encoding.lower() not in ("", "identity")
        ):
            raise UnsupportedMediaType(f"a body with parameters is {JSON} or {FORM}, in UTF-8 and not compressed")
        try:
            text = self.data.decode()
        except UnicodeDecodeError:
            raise BadRequest("the body is not UTF-8") from None
        return _json_pairs(text) if kind == JSON else list(parameters.pairs(text, "body"))


NO_BODY = Body()


def _json_pairs(text: str) -> Sequence[tuple[str, str]]:
    try:
        value = json.loads(text, object_pairs_hook=_Members, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not valid JSON") from None
    if not isinstance(value, _Members):
        raise BadRequest('the body takes a JSON object of parameters, for example {"dry_run": true}')
    return [(name, _spelled(name, each)) for name, each in value.pairs]


class _Members:
    """The members of a JSON object, with repeated names, which a dict would lose."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _spelled(name: str, value: object) -> str:
    """A value as the query spells it. The type must be the parameter's: true, a number, or a string."""
    types, takes = parameters.json_types(name)
    if type(value) not in types:
        raise BadRequest(f"{name} takes {takes} in JSON")
    return json.dumps(value) if isinstance(value, bool) else str(value)
