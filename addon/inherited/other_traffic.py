"""Whether there are other requests at the moment than those for large logs.

The proxy writes down when a request for Forgejo comes, the application when it has sent a small response. Both have the
same eight bytes in memory, in a file without a name that the application inherits.
"""

from __future__ import annotations

import mmap
import struct
import time

from addon.inherited import nameless_file

# For so many seconds after such a request, there is other traffic.
RECENT = 0.5
TIME = struct.Struct("d")


class OtherTraffic:
    """The time of the last such request, on the machine's monotonic clock."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is that of the file."""
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, TIME.size)

    @classmethod
    def create(cls) -> OtherTraffic:
        """A new file, for a time at which there was no request yet."""
        return cls(nameless_file.create("other-traffic", TIME.pack(-RECENT)))

    def note(self) -> None:
        """Writes down that there is such a request now."""
        TIME.pack_into(self._memory, 0, time.monotonic())

    def is_there(self) -> bool:
        """Whether there was such a request in the last RECENT seconds."""
        return time.monotonic() - float(TIME.unpack_from(self._memory)[0]) < RECENT
