"""What the processes below this one are and take, from /proc."""

import os
from pathlib import Path

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def descendants(pid=None):
    """Numbers of the processes that a process has started, and those that they have; without the dead."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, todo = [], [pid or os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def resident_mb(pids):
    """Memory of processes that is their own, not of a file or shared (MB)."""
    total = 0
    for pid in pids:
        try:
            _, resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[:3]
        except OSError:
            continue
        total += int(resident) - int(shared)
    return total * PAGE_MB
