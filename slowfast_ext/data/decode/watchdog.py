"""Calls that may hang or crash, made in a process that can be killed.

Decoders are C and C++ fed with files from the internet: they loop for ever with Python's lock held, and they
crash. Neither a signal nor a thread stops that; a process does. All video codecs go
through it, not only decord: FFmpeg crashes too, and one way is easier to trust than two. Frames
come back through shared memory, and the process lives on from call to call, so that the detour
costs one copy of the frames.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from slowfast_ext.data.decode.child import (
    BROKEN,
    FAILED,
    FULL,
    SET_UP_ERRORS,
    SharedMemory,
    reason_of,
)
from slowfast_ext.errors import DataError
from slowfast_ext.processes import shielded_children

START_LIMIT_S = 120.0
CHILD = "slowfast_ext.data.decode.child"


class _KilledError(DataError):
    """The child was killed, not by us: by the out-of-memory killer or a person. It says nothing about the file."""


class _Child:
    """One running child process with its socket and memory."""

    def __init__(self, memory: int) -> None:
        self.owner = os.getpid()
        self.socket, theirs = Pipe()
        descriptor = _memory_descriptor()
        self.memory = SharedMemory(descriptor)
        with theirs, shielded_children():
            handles = (theirs.fileno(), descriptor)
            self.process = subprocess.Popen(
                [sys.executable, "-m", CHILD, *map(str, (*handles, memory))],
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path),
                },
            )
        self.end = weakref.finalize(self, _end, self.owner, self.process, self.socket, descriptor)
        self.receive(START_LIMIT_S)

    def answer(self, request: tuple[Any, ...]) -> tuple[str, Any]:
        """Verdict and value of a call, see child.py; as `receive`."""
        with contextlib.suppress(ConnectionError):  # Dead between two calls: `receive` says how.
            self.socket.send(request)
        *_, limit = request
        return self.receive(limit)

    def receive(self, limit: float) -> tuple[str, Any]:
        """The next answer. Raises DataError, and ends the child, where none comes."""
        try:
            if self.socket.poll(limit):
                return self.socket.recv()
        except (EOFError, ConnectionError):
            self.end()
            code = self.process.returncode
            kind = _KilledError if code == -signal.SIGKILL else DataError
            raise kind(f"the decoder crashed ({_death(code)})") from None
        self.end()
        raise DataError(f"the decoder gave no answer within {limit:g} s and was killed")


class Watchdog:
    """Makes calls in a child process, within a limit of seconds and one of memory; pickled and forked without its child.

    A limit of 0 s makes them in this process, as does a system without POSIX processes. The memory [bytes] is what a
    call may take beyond the child's own (Linux; 0: any).
    """

    def __init__(self, limit: float, memory: int = 0) -> None:
        self.limit = limit if os.name == "posix" else 0.0
        self.memory = memory
        self._child: _Child | None = None

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(*arguments)`, both picklable. Raises DataError for a failure, a crash, a time-out."""
        if not self.limit:
            return call_here(function, *arguments)
        return self._ask(function, arguments, gives_array=False)[1]

    def call_for_array(self, function: Callable[..., Any], *arguments: Any) -> np.ndarray:
        """The same for a function that gives a uint8 array in memory from its argument `allocate`."""
        if not self.limit:
            return call_here(function, *arguments)
        child, shape = self._ask(function, arguments, gives_array=True)
        return child.memory.array(shape).copy()

    def close(self) -> None:
        """End the child, if it is this process's."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def __getstate__(self) -> dict[str, Any]:
        return {"limit": self.limit, "memory": self.memory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.limit, self.memory, self._child = state["limit"], state["memory"], None

    def _ask(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], gives_array: bool
    ) -> tuple[_Child, Any]:
        """The child that answered, and its answer; a killed one is replaced once."""
        request = (function, arguments, gives_array, self.limit)
        try:
            child = self._running()
            verdict, value = child.answer(request)
        except _KilledError:
            child = self._running()
            verdict, value = child.answer(request)
        if verdict == FAILED:
            raise DataError(value)
        if verdict == FULL:
            self.close()  # what it holds after that is not known
            raise DataError(
                f"takes more than the {self.memory / 2**30:.3g} GiB that a video may (DATA.DECODE_MEMORY)"
            )
        if verdict == BROKEN:
            raise RuntimeError(f"a decoder is at fault, not a file:\n{value}")
        return child, value

    def _running(self) -> _Child:
        child = self._child
        if child is None or child.owner != os.getpid() or child.process.poll() is not None:
            self._child = child = _Child(self.memory)
        return child


def call_here(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` in this process. Raises DataError for what a file may be at fault for."""
    try:
        return function(*arguments)
    except (DataError, *SET_UP_ERRORS):
        raise
    except Exception as error:
        raise DataError(reason_of(error)) from error


def _memory_descriptor() -> int:
    """Memory without a name: not bound by the size of /dev/shm, gone with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _end(owner: int, process: subprocess.Popen, socket: Connection, descriptor: int) -> None:
    socket.close()
    os.close(descriptor)
    if owner == os.getpid():
        process.kill()
        process.wait()


def _death(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
