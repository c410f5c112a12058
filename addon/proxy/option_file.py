"""mitm.yaml, read before mitmproxy does: what it would ignore in silence, or answer with a traceback, is one line here.

`python -m addon.proxy.option_file FILE` says what is wrong; exit status 2 if anything is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from addon import settings


def load(text: str) -> Mapping[str, Any]:
    """The file's keys and values. Raises ValueError with what is wrong."""
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
    """Raises ValueError for an option of ours that is misspelt, not text, or wrong. `mode` is mitmproxy's to check."""
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
