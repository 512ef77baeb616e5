"""What a run says: lines for people, PySlowFast's json_stats lines, stats.jsonl and loggers."""

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import simplejson
from torch import Tensor

from slowfast_ext.data.advice import SlowData
from slowfast_ext.data.loader import Batch, LoaderOptions
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.meter import EpochMeter, Sums
from slowfast_ext.engine.read_errors import ReadErrors
from slowfast_ext.engine.step import SafeStepper
from slowfast_ext.errors import ConfigError
from slowfast_ext.files import append_text, writing
from slowfast_ext.loggers import Loggers
from slowfast_ext.screen import FILE_ONLY, STAMPED, STEP, Progress, Screen, clock, in_words

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
"""In OUTPUT_DIR: the merged configuration."""

STATS_FILE = "stats.jsonl"
"""In OUTPUT_DIR: the numbers of a run, a line each."""


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


class _LogFile(logging.FileHandler):
    """A log that cannot be written ends the run with a line, as any other file of it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging calls
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            return super().handleError(record)
        with writing(Path(self.baseFilename)):
            raise error


def setup_logging(world: World, output_dir: str | Path, screen: Screen | None = None) -> None:
    """The main process logs to the screen and OUTPUT_DIR/stdout.log, the others only errors to stderr."""
    root = logging.getLogger("slowfast_ext")
    root.handlers.clear()
    root.propagate = False
    # What processes say of readers, checkpoints and settings is the same in all: one of them says it.
    root.setLevel(logging.INFO if world.is_main else logging.ERROR)
    written: logging.Handler = logging.StreamHandler(sys.stderr)
    if world.is_main:
        root.addHandler((screen or Screen()).handler())
        written = _LogFile(Path(output_dir) / "stdout.log", encoding="utf-8")
    written.setFormatter(STAMPED)
    root.addHandler(written)


class StatsWriter:
    """Writes each set of numbers to stats.jsonl, as `json_stats: {...}` to stdout.log, and to the loggers.

    In all but the main process it does nothing.
    """

    def __init__(
        self, output_dir: str | Path, is_main: bool = True, loggers: Loggers | None = None
    ) -> None:
        self._active, self._path = is_main, Path(output_dir) / STATS_FILE
        self.loggers = loggers or Loggers()

    def write(self, stats: dict[str, Any], step: int) -> None:
        """Numbers of one moment; `_type` names the kind (train_iter, train_epoch, val_epoch, test_final)."""
        if not self._active:
            return
        line = simplejson.dumps(
            {k: _rounded(v) for k, v in stats.items()}, sort_keys=True, ignore_nan=True
        )
        logger.info("json_stats: %s", line, extra=FILE_ONLY)
        append_text(self._path, line + "\n")
        scalars = {
            name: value
            for name, value in stats.items()
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        self.loggers.scalars(stats["_type"], scalars, step)

    def close(self) -> None:
        """Flush and close the loggers."""
        self.loggers.close()


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
        screen: Screen | None = None,
        slow_data: SlowData | None = None,
    ) -> None:
        """`running` names the task's numbers, `name_of` the videos; a step takes `accumulate` batches."""
        self._screen = screen or Screen()
        self._slow_data = slow_data or SlowData(LoaderOptions(), world.local_size, 1)
        self._last: dict[str, float] = {}
        self._rate = 0.0
        self._row: list[str] = []
        self._epoch_started = time.monotonic()
        self._world, self._running, self._name_of = world, tuple(running), name_of
        self._stats, self._errors = stats, errors
        self._log_period, self._max_epoch, self._accumulate = log_period, max_epoch, accumulate
        self._meter = EpochMeter(world, running)
        self._resumed: dict[str, Sums] = {}

    def start_epoch(self) -> None:
        """Count from 0, or from where a resumed epoch was."""
        self._meter = EpochMeter(self._world, self._running)
        self._epoch_started = time.monotonic()
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
        self._rate = rate
        self._show(epoch, step + 1, steps)
        is_due = number % self._log_period == 0
        if not is_due and number % stepper.check_period:
            return
        bad_steps = stepper.check(self._name_of)
        if not is_due:
            return
        sums = self._meter.read_epoch()
        self._errors.check(sums["bad"], sums["videos"])
        numbers = self._meter.read_window()
        self._last = numbers
        where = {"epoch": f"{epoch + 1}/{self._max_epoch}", "iter": f"{step + 1}/{steps}"}
        parts = " | ".join(self._parts(number, steps))
        line = f"epoch {where['epoch']} step {where['iter']} | {parts}"
        logger.info(line, extra=STEP)
        facts = {"lr": rate, "eta": self._eta(number, steps), "bad_steps": bad_steps}
        self._stats.write({"_type": "train_iter", **where, **facts, **numbers}, number)
        advice = self._slow_data.add(
            numbers["dt"] * self._accumulate * self._log_period, numbers["data_wait"]
        )
        if advice:
            logger.warning(advice)

    def _show(self, epoch: int, done: int, steps: int) -> None:
        """Where the epoch is, with the numbers of the last log line: nothing here waits for the device."""
        parts = self._parts(epoch * steps + done, steps) if self._last else ()
        self._screen.progress(Progress(f"epoch {epoch + 1}/{self._max_epoch}", done, steps, parts))

    def _parts(self, number: int, steps: int) -> list[str]:
        last = self._last
        running = [in_words(name, last[name]) for name in self._running]
        return [
            f"loss {last['loss']:.4f}",
            *running[:1],
            f"ETA {self._eta(number, steps)}",
            f"{last['clips_per_second']:.1f} clips/s",
            f"data wait {100 * last['data_wait']:.0f} %",
            f"lr {self._rate:.3g}",
            *running[1:],
        ]

    def _eta(self, number: int, steps: int) -> str:
        return clock((steps * self._max_epoch - number) * self._last["dt"] * self._accumulate)

    def end_epoch(self, done: int) -> None:
        """The means of the epoch that is the `done`th to be done, and what could not be read in it."""
        sums = self._meter.read_epoch()
        reading = {"bad_samples": int(sums["bad"]), "reading": dict(self._errors.report())}
        self._errors.check(sums["bad"], sums["videos"], whole_epoch=True)
        where = {"epoch": f"{done}/{self._max_epoch}"}
        means = self._meter.means(sums)
        self._stats.write({"_type": "train_epoch", **where, **means, **reading}, done)
        running = (in_words(name, means[name]) for name in self._running)
        self._row = [f"loss {means['loss']:.4f}", *running]

    def validation(self, done: int, numbers: dict[str, float]) -> None:
        """The metrics after `done` epochs."""
        where = {"epoch": f"{done}/{self._max_epoch}"}
        self._stats.write({"_type": "val_epoch", **where, **numbers}, done)
        metrics = [
            in_words(name, value) for name, value in numbers.items() if name != "undecoded" or value
        ]
        self._row.append(f"validation: {', '.join(metrics)}")

    def validating(self) -> Callable[[int, int], None]:
        """Shows the progress of a validation."""
        return self._screen.counter("validation")

    def row(self, done: int, best: str) -> None:
        """One line for the epoch that is the `done`th to be done: training, validation, the best so far, its time."""
        self._screen.clear()
        parts = [f"epoch {done}/{self._max_epoch}", *self._row]
        parts += [f"best: {best}"] if best else []
        parts += [clock(time.monotonic() - self._epoch_started)]
        logger.info(" | ".join(parts))
        self._row = []


def _rounded(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, float) else value


def read_stats(output_dir: str | Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The lines of stats.jsonl, of one `_type` or all; a line cut short by a kill is left out."""
    path = Path(output_dir) / STATS_FILE
    stats = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            stats.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [item for item in stats if kind is None or item["_type"] == kind]
