"""What a run says: human lines, PySlowFast's json_stats lines, stats.jsonl and TensorBoard."""

import json
import logging
import math
import sys
from pathlib import Path
from typing import Any

import simplejson
from torch.utils.tensorboard import SummaryWriter
from yacs.config import CfgNode

from slowfast_ext.engine.distributed import World
from slowfast_ext.errors import ConfigError

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
"""In OUTPUT_DIR: the merged configuration."""


def prepare_output(output_dir: str | Path) -> Path:
    """Make OUTPUT_DIR and prove that it can be written. Raises ConfigError where it cannot."""
    folder = Path(output_dir)
    probe = folder / ".write_test"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"OUTPUT_DIR = {folder}: cannot be written ({error}); "
            "set OUTPUT_DIR to a folder where you have the right to write"
        ) from error
    return folder


def setup_logging(world: World, output_dir: str | Path) -> None:
    """The main process logs to stdout and OUTPUT_DIR/stdout.log, the others only warnings to stderr."""
    root = logging.getLogger("slowfast_ext")
    root.handlers.clear()
    root.propagate = False
    if world.is_main:
        root.setLevel(logging.INFO)
        handlers = [
            logging.StreamHandler(sys.stdout),
            logging.FileHandler(Path(output_dir) / "stdout.log"),
        ]
    else:
        root.setLevel(logging.WARNING)
        handlers = [logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%m/%d %H:%M:%S"))
        root.addHandler(handler)


class StatsWriter:
    """Writes each set of figures once as `json_stats: {...}`, in stats.jsonl and to TensorBoard.

    In all but the main process it does nothing.
    """

    def __init__(self, cfg: CfgNode, world: World) -> None:
        self._active = world.is_main
        if self._active:
            self._file = (Path(cfg.OUTPUT_DIR) / "stats.jsonl").open("a", encoding="utf-8")
            board = Path(cfg.OUTPUT_DIR) / "tensorboard"
            self._board = SummaryWriter(board) if cfg.TENSORBOARD.ENABLE else None

    def write(self, stats: dict[str, Any], step: int) -> None:
        """Figures of one moment; `_type` names the kind (train_iter, train_epoch, val_epoch, test_final)."""
        if not self._active:
            return
        line = simplejson.dumps(
            {k: _rounded(v) for k, v in stats.items()}, sort_keys=True, ignore_nan=True
        )
        logger.info("json_stats: %s", line)
        self._file.write(line + "\n")
        self._file.flush()
        if self._board:
            for name, value in stats.items():
                if isinstance(value, (int, float)) and math.isfinite(value):
                    self._board.add_scalar(f"{stats['_type']}/{name}", value, step)

    def close(self) -> None:
        """Flush and close the files."""
        if self._active:
            self._file.close()
            if self._board:
                self._board.close()


def _rounded(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, float) else value


def read_stats(output_dir: str | Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The lines of stats.jsonl, of one `_type` or all; a line cut short by a kill is left out."""
    path = Path(output_dir) / "stats.jsonl"
    stats = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            stats.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [item for item in stats if kind is None or item["_type"] == kind]


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
