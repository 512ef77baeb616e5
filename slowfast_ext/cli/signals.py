"""Requests to stop that a scheduler sends: finish the step, checkpoint, leave."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from slowfast_ext.engine.distributed import StopRequest

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """A request that SIGTERM or SIGUSR1 makes; afterwards these signals mean what they meant before."""
    request = StopRequest()

    def remember(number: int, _frame: FrameType | None) -> None:
        request.name = signal.Signals(number).name

    before = {number: signal.signal(number, remember) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
