"""Memory and time of a process and its children, as the kernel counts them."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

# The kind of clock that clock_getcpuclockid(3) returns for a process.
CPU_CLOCK = 2


def family(pid: int) -> list[int]:
    """A process and its children, its threads' too."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [other for child in task.read_text().split() for other in family(int(child))]
    return found


def megabytes(pid: int) -> int:
    """Resident memory."""
    return _kilobytes(pid, "VmRSS") >> 10


def forget_peaks(pid: int) -> int:
    """Peaks are counted from here on; the resident megabytes of the whole family now."""
    pids = family(pid)
    for each in pids:
        Path(f"/proc/{each}/clear_refs").write_text("5")
    return sum(_kilobytes(each, "VmRSS") for each in pids) >> 10


def peak(pid: int) -> int:
    """The sum of the family's peaks, in megabytes: not less than the peak of the sum."""
    return sum(_kilobytes(each, "VmHWM") for each in family(pid)) >> 10


def cpu_seconds(pid: int) -> float:
    """Processor time of the whole family so far."""
    return sum(map(own_cpu_seconds, family(pid)))


def own_cpu_seconds(pid: int) -> float:
    """Processor time of one process so far, without its children. Linux has a clock for each process."""
    return time.clock_gettime((~pid << 3) | CPU_CLOCK)


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def _kilobytes(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found, name
    return int(found[1])
