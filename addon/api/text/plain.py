"""Other people's text made harmless: one line, nothing that a terminal obeys or that hides what is written.

Pure functions. What can't be shown is replaced by a sign for it, so that one sees that something was there.
"""

from __future__ import annotations

import unicodedata

CUT = "…"


def one_line(text: str) -> str:
    """Controls become their pictures (`␛`, `␊`), a tab a space, other invisible characters `�`."""
    return "".join(_shown(each) for each in text)


def _shown(character: str) -> str:
    if character == "\t":
        return " "
    code = ord(character)
    if code < 32:
        return chr(0x2400 + code)
    if code == 127:
        return "␡"
    # Formats (bidi marks, zero widths, an emoji's joiner), Unicode's line ends, surrogates, and what is unassigned.
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in UNSEEN else character


UNSEEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})


def width(text: str) -> int:
    """Columns that a terminal gives it."""
    return sum(_columns(each) for each in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fitted(text: str, columns: int) -> str:
    """Cut to so many columns, or filled up with spaces."""
    if width(text) > columns:
        while text and width(text) >= columns:
            text = text[:-1]
        text += CUT
    return text + " " * (columns - width(text))


def took(seconds: float | None) -> str:
    """`2h 5m 3s`; empty where a version doesn't tell, or nothing has started."""
    if seconds is None:
        return ""
    whole = round(seconds)
    parts = [(whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 2)
    return " ".join(f"{count}{unit}" for count, unit in parts[first:])


def size(count: int) -> str:
    """Bytes for a reader: `17 B`, `1.2 MiB`."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
