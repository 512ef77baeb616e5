"""Videos per second over a grid of frames and resolutions (Table 8 of the feature-fixation paper)."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from slowfast_ext.analysis.bench_model import outcome_cells
from slowfast_ext.analysis.trial import FORWARD, TRAIN, Outcome, Setting, run_trial
from slowfast_ext.config import load_config
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import check_model


def main(argv: Sequence[str]) -> int:
    """One table a resolution, a row a config, a column a number of frames; out of memory is a result."""
    parser = argparse.ArgumentParser(prog="bench.py throughput", description=__doc__)
    parser.add_argument("--cfg", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--frames", nargs="+", type=int, default=[8, 16, 32, 64, 96])
    parser.add_argument("--sizes", nargs="+", type=int, default=[224, 336, 448], help="pixels")
    parser.add_argument("--batch", type=int, default=1, help="videos per step")
    parser.add_argument("--work", choices=[FORWARD, TRAIN], default=FORWARD)
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--timeout", type=float, default=600.0, help="longest trial, seconds")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="overrides")
    args = parser.parse_args(argv)
    setting = Setting(work=args.work, precision=args.precision, batch=args.batch)
    for size in args.sizes:
        table = Table(
            "config",
            *(f"{frames} frames" for frames in args.frames),
            title=f"{args.work}, {size} px, videos/s (peak MiB)",
        )
        for name in args.cfg:
            cells = [
                _cell(name, args.opts, frames, size, setting, args.timeout)
                for frames in args.frames
            ]
            table.add_row(Path(name).parent.name, *cells)
        Console(width=150).print(table)
    return 0


def _cell(
    name: str, pairs: Sequence[str], frames: int, size: int, setting: Setting, timeout: float
) -> str:
    grid = [
        "DATA.NUM_FRAMES",
        str(frames),
        "DATA.TEST_CROP_SIZE",
        str(size),
        "DATA.TRAIN_CROP_SIZE",
        str(size),
    ]
    try:
        cfg = load_config([name], [*pairs, *grid], (check_model,))
    except ConfigError:
        return "cannot be built"
    outcome: Outcome = run_trial(cfg, setting, timeout)
    speed, memory = outcome_cells(outcome)
    return speed if outcome.failure else f"{speed} ({memory})"
