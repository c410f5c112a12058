"""A temporary folder that is removed when this process ends, however it ends."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

# It waits for the end of its input, which this process holds open.
GUARD = 'trap "" INT TERM HUP; read -r _; rm -rf -- "$1"'


class GuardedFolder:
    """`path` exists until `remove`, or until this process ends."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", str(self.path)], cwd="/", stdin=subprocess.PIPE, start_new_session=True
        )

    def remove(self) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()
