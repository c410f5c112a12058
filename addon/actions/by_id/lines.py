"""Lines of a log that contain a text, and lines as JSON. Pure functions over blocks of whole lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

ROW = re.compile(rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{7})Z (.*)", re.DOTALL)
# Characters that Go's JSON escapes.
ESCAPED = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}


def containing(blocks: Iterable[bytes], text: str, ignore_case: bool) -> Iterator[bytes]:
    """The lines whose text after the time contains `text`. Lines without a time are left out."""
    contains = _test(text, ignore_case)
    for block in blocks:
        found = b"".join(line + b"\n" for line, row in _rows(block) if contains(row[3]))
        if found:
            yield found


def as_ndjson(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Each line as `{"time":…,"content":…}`. Lines without a time are left out."""
    for block in blocks:
        found = b"".join(_object(row) for _, row in _rows(block))
        if found:
            yield found


def _rows(block: bytes) -> Iterator[tuple[bytes, re.Match[bytes]]]:
    for line in block.removesuffix(b"\n").split(b"\n"):
        line = line.removesuffix(b"\r")
        row = ROW.fullmatch(line)
        if row is not None and _is_moment(row[1]):
            yield line, row


def _is_moment(text: bytes) -> bool:
    try:
        datetime.fromisoformat(text.decode())
    except ValueError:
        return False
    return True


def _test(text: str, ignore_case: bool) -> Callable[[bytes], bool]:
    if not ignore_case:
        needle = text.encode("utf-8", "surrogateescape")
        return lambda content: needle in content
    lower = text.lower()
    return lambda content: lower in content.decode("utf-8", "replace").lower()


def _object(row: re.Match[bytes]) -> bytes:
    fraction = row[2].decode().rstrip("0")
    time = row[1].decode() + (f".{fraction}" if fraction else "") + "Z"
    content = json.dumps(row[3].decode("utf-8", "replace"), ensure_ascii=False).translate(ESCAPED)
    return f'{{"time":"{time}","content":{content}}}\n'.encode()
