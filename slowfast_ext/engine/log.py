"""What a run says: human lines, PySlowFast's json_stats lines, stats.jsonl and TensorBoard."""

import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import simplejson
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from slowfast_ext.data.loader import Batch
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.meter import EpochMeter, Sums
from slowfast_ext.engine.read_errors import ReadErrors
from slowfast_ext.engine.step import SafeStepper
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
    root.setLevel(logging.INFO if world.is_main else logging.WARNING)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if world.is_main:
        log_file = logging.FileHandler(Path(output_dir) / "stdout.log")
        handlers = [logging.StreamHandler(sys.stdout), log_file]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%m/%d %H:%M:%S"))
        root.addHandler(handler)


class StatsWriter:
    """Writes each set of numbers once as `json_stats: {...}`, in stats.jsonl and to TensorBoard.

    In all but the main process it does nothing.
    """

    def __init__(self, output_dir: str | Path, is_main: bool = True, board: bool = False) -> None:
        """`board`: TensorBoard too."""
        self._active = is_main
        if is_main:
            folder = Path(output_dir)
            self._file = (folder / "stats.jsonl").open("a", encoding="utf-8")
            self._board = SummaryWriter(folder / "tensorboard") if board else None

    def write(self, stats: dict[str, Any], step: int) -> None:
        """Numbers of one moment; `_type` names the kind (train_iter, train_epoch, val_epoch, test_final)."""
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


class TrainingLog:
    """What a training run says of its steps, epochs and validations, and what it counts for that."""

    def __init__(
        self,
        world: World,
        running: Sequence[str],
        stats: StatsWriter,
        errors: ReadErrors,
        name_of: Callable[[int], str],
        log_period: int,
        max_epoch: int,
        accumulate: int = 1,
    ) -> None:
        """`running` names the task's numbers, `name_of` the videos; a step takes `accumulate` batches."""
        self._world, self._running, self._name_of = world, tuple(running), name_of
        self._stats, self._errors = stats, errors
        self._log_period, self._max_epoch, self._accumulate = log_period, max_epoch, accumulate
        self._meter = EpochMeter(world, running)
        self._resumed: dict[str, Sums] = {}

    def start_epoch(self) -> None:
        """Count from 0, or from where a resumed epoch was."""
        self._meter = EpochMeter(self._world, self._running)
        if self._resumed:
            self._meter.restore(self._resumed)
            self._resumed = {}

    def resume_with(self, meter_state: dict[str, Sums]) -> None:
        """The next epoch goes on from `meter_state`."""
        self._resumed = meter_state

    def meter_state(self) -> dict[str, Sums]:
        """Sums of the epoch over all processes."""
        return self._meter.state()

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, with the time spent waiting for them counted."""
        return self._meter.timed(batches)

    def add(self, batch: Batch, loss: Tensor, running: Sequence[Tensor], repeats: int = 1) -> None:
        """One forward pass over a batch that holds each video `repeats` times."""
        clips = len(batch.index_B)
        self._meter.add(loss, running, clips, clips // repeats, len(batch.bad))
        self._errors.add(batch)

    def step(self, epoch: int, step: int, steps: int, rate: float, stepper: SafeStepper) -> None:
        """After step `step` of `steps`: every LOG_PERIOD steps the numbers since the last line.

        Raises DataError when too many steps in a row or too many samples were bad.
        """
        number = epoch * steps + step + 1
        is_due = number % self._log_period == 0
        if not is_due and number % stepper.check_period:
            return
        bad_steps = stepper.check(self._name_of)
        if not is_due:
            return
        sums = self._meter.read_epoch()
        self._errors.check(sums["bad"], sums["videos"])
        numbers = self._meter.read_window()
        remaining = steps * self._max_epoch - number
        eta = clock(remaining * numbers["dt"] * self._accumulate)
        where = {"epoch": f"{epoch + 1}/{self._max_epoch}", "iter": f"{step + 1}/{steps}"}
        logger.info(
            "epoch %s step %s | loss %.4f | %slr %.3g | %.1f clips/s | waiting for data %.0f %% | ETA %s",
            *where.values(),
            numbers["loss"],
            "".join(f"{name} {numbers[name]:.4g} | " for name in self._running),
            rate,
            numbers["clips_per_second"],
            100 * numbers["data_wait"],
            eta,
        )
        facts = {"lr": rate, "eta": eta, "bad_steps": bad_steps}
        self._stats.write({"_type": "train_iter", **where, **facts, **numbers}, number)

    def end_epoch(self, done: int) -> None:
        """The means of the epoch that is the `done`th to be done, and what could not be read in it."""
        sums = self._meter.read_epoch()
        reading = {"bad_samples": int(sums["bad"]), "reading": dict(self._errors.report())}
        where = {"epoch": f"{done}/{self._max_epoch}"}
        means = self._meter.means(sums)
        self._stats.write({"_type": "train_epoch", **where, **means, **reading}, done)

    def validation(self, done: int, numbers: dict[str, float]) -> None:
        """The metrics after `done` epochs."""
        where = {"epoch": f"{done}/{self._max_epoch}"}
        self._stats.write({"_type": "val_epoch", **where, **numbers}, done)

    def close(self) -> None:
        """Flush and close the files."""
        self._stats.close()


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
