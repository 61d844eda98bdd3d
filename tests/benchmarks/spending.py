"""Processor time of trees of processes, which a busy machine stretches less than time.

Read from Linux' /proc. Knows nothing of what they do.
"""

import os
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PARENT, _SPENT = 1, slice(11, 15)
"""Fields of a process after its name: its parent; and its own time and that of its ended children,
as a user and in the kernel."""


def spent(roots: Collection[int]) -> float:
    """Seconds that these processes, those they began, and those that have ended have taken."""
    children, seconds = defaultdict(list), {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        process = int(path.parent.name)
        children[int(fields[_PARENT])].append(process)
        seconds[process] = sum(map(int, fields[_SPENT])) / _TICK
    total, waiting = 0.0, list(roots)
    while waiting:
        process = waiting.pop()
        total += seconds.get(process, 0.0)
        waiting += children[process]
    return total


def postmaster(folder: Path) -> int:
    """The process of the embedded PostgreSQL in a data folder."""
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
