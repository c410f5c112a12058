"""Numbers in a path or a query, as Forgejo reads them."""

from __future__ import annotations

import re

NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
# Larger ones do not fit into Forgejo's integers.
LARGEST = (1 << 63) - 1


def number_or_zero(text: str) -> int:
    """The number; 0 for what is none."""
    value = int(text) if NUMBER.fullmatch(text) else 0
    return value if abs(value) <= LARGEST else 0
