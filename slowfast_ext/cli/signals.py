"""Requests to stop, of a scheduler or by Ctrl-C: finish the step, checkpoint, leave."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from slowfast_ext.errors import CheckpointError, ConfigError, DataError, Interrupted
from slowfast_ext.launched import is_launched
from slowfast_ext.processes import StopRequest, accept_signals

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)

PATIENCE = 1.0
"""Seconds after which a second Ctrl-C means it, and no key that was held down."""


_active: list[StopRequest] = []


def end_if_asked() -> None:
    """Raise Interrupted once more: while modules are imported, some of them catch any exception."""
    for request in _active:
        if request:
            raise _interrupted(request)


def _interrupted(request: StopRequest) -> Interrupted:
    return Interrupted(f"stopped by {request.name}; the same command goes on")


@contextmanager
def stop_on_signals(polled: bool = True) -> Iterator[StopRequest]:
    """A request that SIGTERM, SIGUSR1 or SIGINT makes; afterwards these signals mean what they meant before.

    Where the request is not `polled` the signal raises Interrupted. So does an error after a signal that is none of the
    user's: the signal came to other processes too, and took one away from under this. A second SIGINT raises
    KeyboardInterrupt. A command that is left by Interrupted is ending: no further signal takes its exit code away.
    """
    end_if_asked()
    request = StopRequest(polled=polled)
    asked = time.monotonic()

    def remember(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if number == signal.SIGINT:
            # A process with a launcher gets the first Ctrl-C twice, the second time whenever there is a core for the
            # launcher; so the launcher alone knows of a second one.
            if request and time.monotonic() - asked > PATIENCE and not is_launched():
                raise KeyboardInterrupt
            if request.polled and not request and os.environ.get("RANK", "0") == "0":
                # Not print: the signal may have come in the middle of one.
                os.write(2, b"\nending after this step; Ctrl-C once more ends at once\n")
        if not request:
            asked = time.monotonic()
        first, request.name = not request, signal.Signals(number).name
        if first and not request.polled:
            raise _interrupted(request)

    before = {number: signal.signal(number, remember) for number in STOP_SIGNALS}
    _active.append(request)
    try:
        accept_signals()
        yield request
    except Interrupted:
        _end()
        raise
    except (ConfigError, DataError, CheckpointError):
        raise
    except Exception as error:
        if not request:
            raise
        _end()
        raise Interrupted(
            f"stopped by {request.name}, and not at the end of a step ({type(error).__name__}: {error}); "
            "the same command goes on from the last checkpoint, if there is one"
        ) from error
    finally:
        _active.pop()
        for number, handler in before.items() if not request.is_over else ():
            signal.signal(number, handler)


def _end() -> None:
    """From here on signals mean nothing to this command, until its process is gone.

    A handler of ours would not do: Python takes those away before it ends, and the signal would kill it then.
    """
    for request in _active:
        request.is_over = True
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
