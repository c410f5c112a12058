"""Checks mitm.yaml before mitmproxy reads it, which would ignore some mistakes silently and show others as a traceback.

`python -m addon.proxy.option_file FILE` prints one line about the first mistake; the exit status is then 2.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from addon import settings


def load(text: str) -> Mapping[str, Any]:
    """The file's keys and values. Raises ValueError with the mistake."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise ValueError(f"mitm.yaml is no YAML{line}; write `name: value` lines, as in the one delivered") from None
    if not isinstance(found, dict):
        raise ValueError("mitm.yaml holds no options; write `name: value` lines, as in the one delivered")
    return found


def check(given: Mapping[str, Any]) -> None:
    """Raises ValueError for an option of the extension that is misspelt, not text, or invalid."""
    if message := settings.unknown(given):
        raise ValueError(message)
    own = {name: given.get(name, default) for name, (default, _) in settings.OPTIONS.items()}
    for name, value in own.items():
        if not isinstance(value, str):
            text = str(value).lower() if isinstance(value, bool) else value
            raise ValueError(f'{name} is {text} without quotes; write {name}: "{text}"')
    settings.parse(["reverse:http://127.0.0.1"], own)


def main() -> int:
    """The exit status."""
    try:
        check(load(Path(sys.argv[1]).read_text("utf-8")))
    except (OSError, ValueError) as error:
        print(f"run.sh: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
