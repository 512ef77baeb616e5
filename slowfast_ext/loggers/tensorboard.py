"""TensorBoard: curves, the confusion matrix, and the settings beside what they led to (its HPARAMS page)."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slowfast_ext.loggers.base import LOGGERS, Logger
from slowfast_ext.options import Options, option, section

FOLDER = "tensorboard"


@section("TENSORBOARD", "TensorBoard event files")
@dataclass(frozen=True)
class TensorboardOptions(Options):
    """Whether TensorBoard can follow a run."""

    enable: bool = option(True, "write event files to OUTPUT_DIR/tensorboard")


@LOGGERS.register("TensorBoard", TensorboardOptions)
class TensorBoard(Logger):
    """Event files in OUTPUT_DIR/tensorboard."""

    OF_A_RUN = (FOLDER,)

    def __init__(
        self, options: TensorboardOptions, folder: Path, settings: Mapping[str, Any]
    ) -> None:
        from torch.utils.tensorboard import (
            SummaryWriter,  # a second that other commands need not wait
        )

        # Its thread keeps an error for the next call here, which tells of it; a traceback of its own adds nothing.
        self._hook, threading.excepthook = threading.excepthook, self._unless_of_a_writer
        self._board = SummaryWriter(str(folder / FOLDER))
        self._settings = settings

    def scalars(self, kind: str, numbers: Mapping[str, float], step: int) -> None:
        """A curve for each number."""
        for name, value in numbers.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def picture(self, name: str, figure: Any) -> None:
        """On the page IMAGES."""
        self._board.add_figure(name, figure)

    def finish(self, metrics: Mapping[str, float]) -> None:
        """A row on the page HPARAMS."""
        plain = {
            key: value if isinstance(value, (bool, int, float, str)) else str(value)
            for key, value in self._settings.items()
        }
        results = {f"result/{name}": value for name, value in metrics.items()}
        self._board.add_hparams(plain, results, run_name=".")

    def close(self) -> None:
        """Flush the files."""
        try:
            self._board.close()
        finally:
            threading.excepthook = self._hook

    def _unless_of_a_writer(self, args: threading.ExceptHookArgs) -> None:
        if not type(args.thread).__module__.startswith("tensorboard."):
            self._hook(args)
