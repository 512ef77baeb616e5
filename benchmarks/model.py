"""Speed and memory of models side by side: eager and compiled, fp32 and bf16, both memory layouts."""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from yacs.config import CfgNode

from benchmarks.trial import FORWARD, TRAIN, Outcome, Setting, run_trial, with_work
from slowfast_ext.config import load_config
from slowfast_ext.models import check_model

COLUMNS = (
    "config",
    "mode",
    "precision",
    "layout",
    "forward clips/s",
    "MiB",
    "training clips/s",
    "MiB",
)


def main(argv: Sequence[str]) -> int:
    """`--cfg FILE...`: each file is a model of its own. --opts override all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks model", description=__doc__)
    parser.add_argument("--cfg", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--batch", type=int, default=1, help="clips per step")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats; the median counts")
    parser.add_argument(
        "--modes", nargs="+", default=["eager", "compiled"], choices=["eager", "compiled"]
    )
    parser.add_argument(
        "--precisions", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16", "fp16"]
    )
    parser.add_argument("--layouts", nargs="+", default=["contiguous", "channels_last"])
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="overrides")
    args = parser.parse_args(argv)
    configs = {name: load_config([name], args.opts, (check_model,)) for name in args.cfg}
    table = Table(
        *COLUMNS, title=f"batch {args.batch}, {torch.get_num_threads()} threads, {_device()}"
    )
    for name, mode, precision, layout in itertools.product(
        configs, args.modes, args.precisions, args.layouts
    ):
        setting = Setting(
            precision=precision, channels_last=layout == "channels_last", compiled=mode == "compiled",
            batch=args.batch, repeats=args.repeats,
        )  # fmt: skip
        table.add_row(_short(name), mode, precision, layout, *_cells(configs[name], setting))
    Console(width=150).print(table)
    return 0


def _cells(cfg: CfgNode, setting: Setting) -> Iterator[str]:
    for work in (FORWARD, TRAIN):
        yield from outcome_cells(run_trial(cfg, with_work(setting, work)))


def outcome_cells(outcome: Outcome) -> tuple[str, str]:
    """Clips per second and peak MiB, or the failure."""
    if outcome.failure:
        return outcome.failure, "-"
    return f"{outcome.clips_per_second:.3g}", f"{outcome.peak_bytes / 2**20:.0f}"


def _short(name: str) -> str:
    path = Path(name)
    return path.parent.name if path.stem == "config" else path.stem


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
