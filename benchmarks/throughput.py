"""Videos per second over a grid of frames and resolutions.

    python -m benchmarks throughput --table8 --results FILE

measures Table 8 of the feature fixation paper: twelve settings of feature fixation, Orthoformer and softmax in its backbone, each
beside the printed number (one A100 of 80 GB). What FILE has is not measured again.
"""

import argparse
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.model import outcome_cells
from benchmarks.trial import FORWARD, TRAIN, Outcome, Setting, run_trial
from slowfast_ext.config import load_config
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import check_model

EXP = Path(__file__).resolve().parents[1] / "exp"
TABLE_8 = (
    (str(EXP / "feature_fixation_ssv2/config.yaml"), ""),
    (str(EXP / "linear_relu_ssv2/config.yaml"), "orthoformer"),
    (str(EXP / "linear_relu_ssv2/config.yaml"), "softmax"),
)
"""Configurations and kernels of the paper's table, ten runs of one video each."""
FRAMES_8, SIZES_8 = (16, 32, 64, 96), (224, 336, 448)
_PRINTED_8 = {
    "": "10.25 8.57 5.40  8.38 4.68 3.22  6.58 3.75 2.81  4.48 2.30 OOM",
    "orthoformer": "1.79 1.59 1.41  1.71 1.56 1.15  1.53 0.97 OOM  1.25 0.83 OOM",
    "softmax": "8.23 6.49 4.57  6.15 4.57 2.57  5.27 2.55 OOM  4.27 OOM OOM",
}
PRINTED_8 = {
    (kernel, *column): number
    for kernel, numbers in _PRINTED_8.items()
    for column, number in zip(itertools.product(FRAMES_8, SIZES_8), numbers.split(), strict=True)
}
"""Videos a second that the paper prints, by kernel, frames and pixels."""


class Results:
    """Outcomes of cells in a file of JSON lines, written as they come, taken from there when the command runs again."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path and path.is_file() else []
        cells = (json.loads(line) for line in lines if line.endswith("}"))  # the last may be cut
        self._done = {cell["cell"]: Outcome(**cell["outcome"]) for cell in cells}

    def get(self, cell: str) -> Outcome | None:
        """The outcome of a cell that was measured."""
        return self._done.get(cell)

    def add(self, cell: str, outcome: Outcome) -> None:
        """Keep an outcome."""
        if self._path:
            line = json.dumps({"cell": cell, "outcome": asdict(outcome)})
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")  # a broken off line before it stays one of its own


def main(argv: Sequence[str]) -> int:
    """One table a resolution, a row a config, a column a number of frames; out of memory is a result."""
    args = _parse(argv)
    setting = Setting(
        work=args.work, precision=args.precision, batch=args.batch, repeats=args.repeats
    )
    rows = TABLE_8 if args.table8 else list(itertools.product(args.cfg, args.kernels or [""]))
    results = Results(args.results)
    for size in args.sizes:
        table = Table(
            "config",
            *(f"{frames} frames" for frames in args.frames),
            title=f"{args.work}, {size} px, videos/s (peak MiB)",
        )
        for name, kernel in rows:
            pairs = [*args.opts, *(["ATTENTION.KERNEL", kernel] if kernel else [])]
            cells = measure_row(name, pairs, args.frames, size, setting, args.timeout, results)
            if args.table8:
                cells = [
                    f"{cell}, printed {PRINTED_8.get((kernel, frames, size), '-')}"
                    for cell, frames in zip(cells, args.frames, strict=True)
                ]
            table.add_row(f"{Path(name).parent.name} {kernel}", *cells)
        Console(width=150).print(table)
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--cfg", nargs="+", default=[], metavar="FILE")
    which.add_argument("--table8", action="store_true", help="the grid of the paper's Table 8")
    parser.add_argument("--results", type=Path, metavar="FILE", help="JSON lines, to go on from")
    parser.add_argument("--kernels", nargs="+", help="each config with each of these kernels")
    parser.add_argument("--frames", nargs="+", type=int, default=FRAMES_8)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES_8, help="pixels")
    parser.add_argument("--batch", type=int, default=1, help="videos per step")
    parser.add_argument("--work", choices=[FORWARD, TRAIN], default=FORWARD)
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats; the median counts")
    parser.add_argument("--timeout", type=float, default=600.0, help="longest trial, seconds")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="overrides")
    return parser.parse_args(argv)


def measure_row(
    name: str,
    pairs: Sequence[str],
    numbers: Sequence[int],
    size: int,
    setting: Setting,
    timeout: float,
    results: Results,
) -> list[str]:
    """A cell for each number of frames. What is too long or too large for one is so for more frames."""
    cells: list[str] = []
    least, failure = math.inf, ""
    for frames in numbers:
        if frames >= least:
            cells.append(failure)
            continue
        cell, failure = _cell(name, pairs, frames, size, setting, timeout, results)
        least = frames if failure else math.inf
        cells.append(cell)
    return cells


def _cell(
    name: str,
    pairs: Sequence[str],
    frames: int,
    size: int,
    setting: Setting,
    timeout: float,
    results: Results,
) -> tuple[str, str]:
    """What is shown, and the failure of the trial if it failed."""
    grid = {
        "DATA.NUM_FRAMES": frames,
        "DATA.TEST_CROP_SIZE": size,
        "DATA.TRAIN_CROP_SIZE": size,
    }
    try:
        opts = [*pairs, *(str(part) for pair in grid.items() for part in pair)]
        cfg = load_config([name], opts, (check_model,))
    except ConfigError:
        return "cannot be built", ""
    cell = json.dumps([Path(name).parent.name, *opts, asdict(setting)])
    outcome = results.get(cell)
    if outcome is None:
        outcome = run_trial(cfg, setting, timeout)
        results.add(cell, outcome)
    speed, memory = outcome_cells(outcome)
    return (speed if outcome.failure else f"{speed} ({memory})"), outcome.failure
