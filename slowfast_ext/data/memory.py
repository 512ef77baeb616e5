"""How loader workers use the C allocator."""

import ctypes
import sys

# Names and values of glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4

KEEP = 1 << 30


def keep_freed_memory() -> None:
    """Let this process use freed buffers again instead of giving them back to the system.

    A clip is a few MB, the views of a video are 70, which glibc by default maps anew for every buffer: the page faults cost more than
    the work on the pixels (affine operations: half the time). Memory stays at its peak, which is flat.
    Nothing happens where the C library is another one.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEEP)
