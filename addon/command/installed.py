"""The console command of the installed package, in which the project's folder is called `forgejo_actions_proxy`."""

import sys
from pathlib import Path


def main() -> int:
    """Does what run.sh does. The modules are imported as in the project, where their folder is on the path."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from addon.command.__main__ import main as command

    return command(sys.argv[1:])
