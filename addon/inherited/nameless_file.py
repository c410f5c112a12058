"""A file without a name, which only this process and those that inherit it can open."""

from __future__ import annotations

import os
import tempfile


def create(what: str, content: bytes) -> int:
    """Returns the descriptor of a new file, in memory where the system can do that.

    Child processes inherit it if they are started with it. Tools that list open files show `what`.
    """
    descriptor = _created(what)
    os.write(descriptor, content)
    os.set_inheritable(descriptor, True)
    return descriptor


def _created(what: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(what)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
