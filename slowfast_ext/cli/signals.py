"""Requests to stop, of a scheduler or by Ctrl-C: finish the step, checkpoint, leave."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from slowfast_ext.engine.distributed import StopRequest

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)

PATIENCE = 1.0
"""Seconds after which a second Ctrl-C means it: with several processes each gets the first one twice."""


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """A request that SIGTERM, SIGUSR1 or SIGINT makes; afterwards these signals mean what they meant before.

    A second SIGINT raises KeyboardInterrupt.
    """
    request = StopRequest()
    asked = time.monotonic()

    def remember(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if number == signal.SIGINT:
            if request and time.monotonic() - asked > PATIENCE:
                raise KeyboardInterrupt
            if not request and os.environ.get("RANK", "0") == "0":
                # Not print: the signal may have come in the middle of one.
                os.write(2, b"\nending after this step; Ctrl-C once more ends at once\n")
        if not request:
            asked = time.monotonic()
        request.name = signal.Signals(number).name

    before = {number: signal.signal(number, remember) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
