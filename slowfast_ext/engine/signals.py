"""Requests to stop that a scheduler sends: finish the step, checkpoint, leave."""

import signal
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Remembers that SIGTERM or SIGUSR1 came; true from then on."""

    def __init__(self) -> None:
        self.name = ""
        for number in STOP_SIGNALS:
            signal.signal(number, self._remember)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name

    def __bool__(self) -> bool:
        return bool(self.name)
