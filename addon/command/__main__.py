"""python -m addon.command [web|check] [options]: what `./run.sh` does after its set-up.

The exit status is 2 for a wrong input.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from addon.command import serving


def main(arguments: Sequence[str]) -> int:
    """Becomes the proxy, the demo or the check. Returns only after a mistake, which is one line on standard error."""
    command, rest = (
        (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("serve", arguments)
    )
    try:
        if command == "check":
            serving.become([sys.executable, "-m", "addon.check", *rest], os.environ)
        if command not in serving.PROGRAMS:
            raise ValueError(f"unknown command '{command}'; see {serving.NAME} help")
        serving.serve(serving.PROGRAMS[command], rest, os.environ)
    except ValueError as error:
        print(f"{serving.SHORT_NAME}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
