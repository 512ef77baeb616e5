"""The process that decodes and may die of it: `python -m slowfast_ext.data.decode.child SOCKET MEMORY BYTES`.

It answers one call after the other until its parent goes away. An answer that is an array lies in
shared memory. It loads NumPy, PyAV and what a reader needs, never torch, and may take BYTES of memory for a video.
"""

import contextlib
import errno
import mmap
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from slowfast_ext.data.decode.base import Frames
from slowfast_ext.data.decode.ffmpeg import describe
from slowfast_ext.errors import DataError

OK, FAILED, FULL, BROKEN = "ok", "failed", "full", "broken"
GRACE_S = 5.0

SET_UP_ERRORS = (ImportError, SyntaxError)
"""What no file is at fault for. Any other exception is taken for the file's doing: damage finds every way through a
reader. Were the reader at fault, all files would fail, and a run ends when many do."""


class SharedMemory:
    """A growing piece of memory behind a file descriptor that both processes hold."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.view: mmap.mmap | None = None

    def array(self, shape: tuple[int, ...]) -> Frames:
        """uint8 array at the start of the memory, which is made larger where it must be."""
        size = int(np.prod(shape))
        if self.view is None or len(self.view) < size:
            if os.fstat(self.descriptor).st_size < size:
                os.ftruncate(self.descriptor, size)
            self.view = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        return np.frombuffer(self.view, np.uint8, count=size).reshape(shape)


def answer(request: tuple[Any, ...], memory: SharedMemory) -> tuple[str, Any]:
    """Verdict and value of one call `(function, arguments, gives an array, seconds)`."""
    function, arguments, gives_array, limit = request
    # Should the parent be gone, nobody else ends a decoder that hangs inside C++.
    signal.setitimer(signal.ITIMER_REAL, limit + GRACE_S)
    try:
        if not gives_array:
            return OK, function(*arguments)
        return OK, function(*arguments, allocate=memory.array).shape
    except SET_UP_ERRORS:
        return BROKEN, traceback.format_exc()
    except Exception as error:
        return (FULL, None) if _lacks_memory(error) else (FAILED, reason_of(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def reason_of(error: Exception) -> str:
    """Why a file cannot be read, in one line; with the place for an exception that nobody foresaw."""
    if isinstance(error, DataError):
        return str(error)
    if isinstance(error, (OSError, ValueError, RuntimeError, EOFError)):
        return describe(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{describe(error)} ({os.path.basename(place.filename)}:{place.lineno})"


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def limit_memory(more: int) -> None:
    """Let this process take `more` bytes than it has now (0: any number); what asks beyond gets a MemoryError."""
    if more and sys.platform == "linux":
        import resource

        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    """Serve until the parent closes the socket."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    parent, memory = Connection(int(sys.argv[1])), SharedMemory(int(sys.argv[2]))
    limit_memory(int(sys.argv[3]))
    with contextlib.suppress(EOFError, ConnectionError):  # The parent is gone, closed or killed.
        parent.send((OK, None))
        while True:
            parent.send(_next_answer(parent, memory))


def _next_answer(parent: Connection, memory: SharedMemory) -> tuple[str, Any]:
    try:
        request = parent.recv()
    except (EOFError, ConnectionError):
        raise
    except MemoryError:
        return FULL, None
    except Exception:
        return BROKEN, traceback.format_exc()
    return answer(request, memory)


if __name__ == "__main__":
    main()
