"""Makes untrusted text safe to display: one line, without control characters and invisible characters.

Pure functions. A removed character is replaced by a visible sign, so that a reader sees that something was there.
"""

from __future__ import annotations

import unicodedata

CUT = "…"


def one_line(text: str) -> str:
    """Controls become their symbols (`␛`, `␊`), a tab becomes a space, other invisible characters `�`."""
    return "".join(_shown(each) for each in text)


def _shown(character: str) -> str:
    if character == "\t":
        return " "
    code = ord(character)
    if code < 32:
        return chr(0x2400 + code)
    if code == 127:
        return "␡"
    # Format characters (bidi marks, zero widths, an emoji's joiner), line separators, surrogates, unassigned ones.
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in UNSEEN else character


UNSEEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})


def width(text: str) -> int:
    """The number of columns that a terminal needs for the text."""
    return sum(_columns(each) for each in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fitted(text: str, columns: int) -> str:
    """The text cut to this number of columns, or padded with spaces."""
    if width(text) > columns:
        while text and width(text) >= columns:
            text = text[:-1]
        text += CUT
    return text + " " * (columns - width(text))


def took(seconds: float | None) -> str:
    """A duration as `2h 5m 3s`; empty for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    parts = [(whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 2)
    return " ".join(f"{count}{unit}" for count, unit in parts[first:])


def attempt(number: int | None) -> str:
    """`, attempt 2` for a later attempt than the first; else empty."""
    return f", attempt {number}" if (number or 1) > 1 else ""


def size(count: int) -> str:
    """A size in bytes as `17 B` or `1.2 MiB`."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
