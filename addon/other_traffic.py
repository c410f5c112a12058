"""Whether Forgejo has other requests at the moment: the proxy writes down when one comes, the application reads it.

Both have the same eight bytes in memory, in a file without a name that the application inherits.
"""

from __future__ import annotations

import mmap
import struct
import time

from addon import nameless_file

# Seconds after the last request in which there is other traffic.
RECENT = 1.0
TIME = struct.Struct("d")


class OtherTraffic:
    """When the last request that Forgejo itself answers has come, on the machine's monotonic clock."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is that of the file."""
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, TIME.size)

    @classmethod
    def create(cls) -> OtherTraffic:
        """There has been none yet."""
        return cls(nameless_file.create("other-traffic", TIME.pack(-RECENT)))

    def note(self) -> None:
        """A request has come."""
        TIME.pack_into(self._memory, 0, time.monotonic())

    def is_there(self) -> bool:
        """Whether a request has come recently."""
        return time.monotonic() - float(TIME.unpack_from(self._memory)[0]) < RECENT
