"""Parameters, GFLOPs, memory and time of a model: slowfast-ext profile --cfg FILE... [--json] [KEY VALUE ...]."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from slowfast_ext.cli import reported
from slowfast_ext.config.command import add_config_arguments, config_of, refuse_mistakes


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Print a table, or one JSON object: params_m, gflops_view, gflops_total, by_module, ..."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--depth", type=int, default=3, help="levels of modules in the table")
    parser.add_argument(
        "--no-time", action="store_true", help="leave out the measured time per clip"
    )
    args = parser.parse_args(argv)
    refuse_mistakes(args)
    numbers = measured(args)
    if args.json:
        print(json.dumps(numbers))
    else:
        show(numbers, args.depth)
    return 0


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """What the model costs, counted and, unless --no-time is given, timed."""
    import torch

    from slowfast_ext.analysis.cost import meta_clip, summary
    from slowfast_ext.analysis.timing import seconds_per_clip
    from slowfast_ext.engine.distributed import pick_device
    from slowfast_ext.models import build_model, check_model

    cfg = config_of(args, checks=(check_model,))
    numbers = summary(cfg)
    if not args.no_time:
        device = pick_device(cfg.DEVICE)
        clip_BCTHW = torch.randn(meta_clip(cfg).shape, device=device)
        numbers["seconds_per_clip"] = seconds_per_clip(build_model(cfg).to(device), clip_BCTHW)
    return numbers


def show(numbers: dict[str, Any], depth: int) -> None:
    """The numbers as tables."""
    from rich.console import Console
    from rich.table import Table

    table = Table("module", "GFLOPs per view", "share", title="one multiply-add = 1")
    for name, gflops in numbers["by_module"].items():
        if name.count(".") < depth:
            table.add_row(name, f"{gflops:.3f}", f"{100 * gflops / numbers['gflops_view']:.1f} %")
    console = Console()
    console.print(table)
    console.print(f"parameters          {numbers['params_m']:.2f} M")
    console.print(f"per view            {numbers['gflops_view']:.2f} GFLOPs")
    console.print(
        f"per video           {numbers['gflops_total']:.1f} GFLOPs, {numbers['views']} views"
    )
    console.print(f"saved for backward  {numbers['saved_mib_per_clip']:.0f} MiB per clip (fp32)")
    if "seconds_per_clip" in numbers:
        console.print(f"forward             {numbers['seconds_per_clip']:.3f} s per clip, batch 1")
