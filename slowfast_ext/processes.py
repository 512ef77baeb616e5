"""How the processes of a run live and die together.

A scheduler, a terminal and `kill -- -GROUP` signal all processes of a group at once. Only the training process decides
what a signal means: those that load and decode for it are born with the signals blocked, so that there is no moment at
which one of them dies of it, and end when their parent says so or is gone.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
"""What a process group may be sent that its members need not die of."""

_WATCH_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1


@dataclass
class StopRequest:
    """Whether the run was asked to stop, and by what (`name`); nothing sets it but the command line's signals.

    Where nobody looks at it soon (`polled` is False: reading lists, building, loading) the signal itself raises
    Interrupted. Once it `is_over` the command is ending, and signals mean nothing more.
    """

    name: str = ""
    polled: bool = True
    is_over: bool = False

    def __bool__(self) -> bool:
        return bool(self.name)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """What runs inside looks at the request every step, and stops where its state is saved."""
        before, self.polled = self.polled, True
        try:
            yield
        finally:
            self.polled = before


@contextlib.contextmanager
def kept_priority() -> Iterator[None]:
    """The calling thread is scheduled afterwards as it was before.

    SVT-AV1, opened by root, makes the thread that encodes a realtime one, before which nothing else gets a core.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


@contextlib.contextmanager
def shielded_children() -> Iterator[None]:
    """Processes started inside never receive SIGNALS; those that arrive meanwhile come to this process afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def accept_signals() -> None:
    """Receive SIGNALS again in a process that was born shielded, those first that came meanwhile."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def serve_parent() -> None:
    """In a process of `multiprocessing`: SIGTERM of the parent ends it, of anybody else does not; it ends with its parent."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(
        target=_watch_parent, args=(os.getppid(),), name="watch parent", daemon=True
    ).start()


def _watch_parent(starter: int) -> None:
    # A fork server starts processes for others: both must be there. Forked siblings hold each other's `parent` alive.
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive() and os.getppid() == starter:
        if not hasattr(signal, "sigtimedwait"):  # macOS
            time.sleep(_WATCH_SECONDS)
            continue
        told = signal.sigtimedwait({signal.SIGTERM}, _WATCH_SECONDS)
        if told is not None and told.si_pid == parent.pid:
            break
    os._exit(0)


def end_with_parent(parent: int) -> None:
    """Have this process killed as soon as the process `parent`, which started it, is gone for whatever reason."""
    if sys.platform == "linux":
        # The kernel does it, also while this process is inside C++ code that returns to Python too late or never.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before it could be watched
            os.kill(os.getpid(), signal.SIGKILL)
        return
    threading.Thread(target=_outlive_not, args=(parent,), name="watch parent", daemon=True).start()


def _outlive_not(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def end_children(seconds: float = 3.0) -> None:
    """End the processes of `multiprocessing` that this one has left; without it leaving waits for them, however long."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    deadline = time.monotonic() + seconds
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
    for child in children:
        if child.is_alive():
            with contextlib.suppress(
                RuntimeError
            ):  # torch tells of a loader process that is killed
                child.kill()
                child.join()
