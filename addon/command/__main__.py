"""python -m addon.command [web|check] [options]: what `./run.sh` does after its set-up.

The exit status is 2 for a wrong input.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from addon import COMMAND, INSTALLED, ROOT
from addon.command import serving

ONLY_IN_THE_PROJECT = re.compile(r"\./run\.sh (set-up|test|bench)")


def main(arguments: Sequence[str]) -> int:
    """Becomes the proxy, the demo or the check. Returns only after a mistake, which is one line on standard error."""
    command, rest = (
        (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("serve", arguments)
    )
    try:
        if command == "help" or arguments[:1] in (["-h"], ["--help"]):
            print(_usage(), end="")
            return 0
        if command == "check":
            serving.run("addon.check", rest)
        if command not in serving.PROGRAMS:
            raise ValueError(f"unknown command '{command}'; see {COMMAND} help")
        serving.serve(serving.PROGRAMS[command], rest, os.environ)
    except ValueError as error:
        print(f"{COMMAND.removeprefix('./')}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


def _usage() -> str:
    """The text of `help`. Some commands exist only in the project's folder."""
    text = (ROOT / "addon/command/usage.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not INSTALLED or not ONLY_IN_THE_PROJECT.match(line)]
    return "\n".join(lines).replace("./run.sh", COMMAND) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
