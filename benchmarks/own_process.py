"""A call in a process of its own: its peak memory is its own, and a crash or a time-out is a result."""

import multiprocessing
import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

_MEMORY, _OWN_PAGES = Path("/proc/meminfo"), Path("/proc/self/statm")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """Why a call has no result."""

    reason: str


def in_own_process(
    timeout: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T | Failure:
    """work(*args, **kwargs), or why it has no result: out of memory, a crash, more than `timeout` seconds."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, work, args, kwargs))
    process.start()
    sender.close()
    try:
        if not receiver.poll(timeout):
            return Failure(f"more than {timeout:.0f} s")
        return receiver.recv()
    except EOFError:
        process.join()
        killed = process.exitcode == -9
        return Failure("out of memory" if killed else f"exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _child(sender: Connection, work: Callable[..., object], args: tuple, kwargs: dict) -> None:
    _leave_memory_to_others()
    try:
        sender.send(work(*args, **kwargs))
    except (torch.OutOfMemoryError, MemoryError):
        sender.send(Failure("out of memory"))
    except RuntimeError as error:
        memory = "can't allocate memory" in str(error) or "out of memory" in str(error)
        sender.send(Failure("out of memory" if memory else str(error).splitlines()[0][:80]))


def _leave_memory_to_others() -> None:
    """Asking for more than the machine has left fails here, before the system kills some process for it.

    Not beside a GPU: its driver reserves addresses far beyond what it uses.
    """
    if torch.cuda.is_available() or not (_MEMORY.exists() and _OWN_PAGES.exists()):
        return
    available = next(line for line in _MEMORY.read_text().splitlines() if "MemAvailable" in line)
    used = int(_OWN_PAGES.read_text().split()[0]) * resource.getpagesize()
    limit = used + int(available.split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
