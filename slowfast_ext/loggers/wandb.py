"""Weights & Biases: curves, the confusion matrix, and the settings beside what they led to."""

import importlib.util
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from slowfast_ext.files import write_atomically
from slowfast_ext.loggers.base import LOGGERS, Logger
from slowfast_ext.options import Options, option, section

logger = logging.getLogger(__name__)

RUN_FILE = "wandb_run.txt"
"""In OUTPUT_DIR: the id of the run, so that one that is resumed goes on there."""


_MODES: dict[str, Literal["online", "offline"] | None] = {
    "auto": None,
    "online": "online",
    "offline": "offline",
}


@section("WANDB", "Weights & Biases (pip install 'slowfast_ext[wandb]')")
@dataclass(frozen=True)
class WandbOptions(Options):
    """Where a run can be followed."""

    enable: bool = option(False, "send the numbers of the run to Weights & Biases")
    project: str = option("slowfast_ext", "project that the run belongs to")
    entity: str = option("", "team or user that the project belongs to; empty: your default")
    name: str = option("", "name of the run; empty: that of OUTPUT_DIR")
    mode: str = option(
        "auto",
        "offline: write to OUTPUT_DIR/wandb, to be sent later by `wandb sync`; auto: as WANDB_MODE of the environment",
        choices=("auto", "online", "offline"),
    )


@LOGGERS.register("wandb", WandbOptions)
class Wandb(Logger):
    """A run of Weights & Biases; its files lie in OUTPUT_DIR/wandb."""

    OF_A_RUN = (RUN_FILE,)

    def __init__(self, options: WandbOptions, folder: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=options.project,
            entity=options.entity or None,
            name=options.name or folder.resolve().name,
            dir=str(folder),
            id=_run_id(folder),
            resume="allow",
            mode=_MODES[options.mode],
            config=dict(settings),
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        offline = f"{folder / 'wandb'}; wandb sync sends it"
        logger.info("wandb: %s", offline if self._run.offline else self._run.url)
        self._kinds: set[str] = set()

    def scalars(self, kind: str, numbers: Mapping[str, float], step: int) -> None:
        """A curve for each number over the steps (or epochs) of its kind."""
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._run.define_metric(f"{kind}/*", step_metric=f"{kind}/step")
        named = {f"{kind}/{name}": value for name, value in numbers.items()}
        self._run.log({**named, f"{kind}/step": step})

    def picture(self, name: str, figure: Any) -> None:
        """An image."""
        self._run.log({name: self._wandb.Image(figure)})

    def finish(self, metrics: Mapping[str, float]) -> None:
        """The columns of the table of runs."""
        self._run.summary.update({f"result/{name}": value for name, value in metrics.items()})

    def close(self) -> None:
        """Send or write the rest."""
        self._run.finish()

    @classmethod
    def missing(cls) -> str:
        """See Logger."""
        installed = importlib.util.find_spec("wandb") is not None
        return "" if installed else "pip install 'slowfast_ext[wandb]'"


def _run_id(folder: Path) -> str:
    file = folder / RUN_FILE
    if not file.exists():
        write_atomically(file, lambda path: path.write_text(uuid.uuid4().hex, encoding="utf-8"))
    return file.read_text(encoding="utf-8").strip()
