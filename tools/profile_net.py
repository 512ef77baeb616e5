"""Parameters, GFLOPs, memory and time of a model: tools/profile_net.py --cfg FILE... [--json] [KEY VALUE ...]."""

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table

from slowfast_ext.analysis.cost import summary
from slowfast_ext.analysis.timing import seconds_per_clip
from slowfast_ext.config.command import add_config_arguments, config_of
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import check_model


def main() -> int:
    """Print a table, or one JSON object: params_m, gflops_view, gflops_total, by_module, ..."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--depth", type=int, default=3, help="levels of modules in the table")
    parser.add_argument(
        "--no-time", action="store_true", help="leave out the measured time per clip"
    )
    args = parser.parse_args()
    try:
        cfg = config_of(args, checks=(check_model,))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    figures = summary(cfg)
    if not args.no_time:
        figures["seconds_per_clip"] = seconds_per_clip(cfg)
    if args.json:
        print(json.dumps(figures))
    else:
        show(figures, args.depth)
    return 0


def show(figures: dict, depth: int) -> None:
    """The figures as tables."""
    table = Table("module", "GFLOPs per view", "share", title="one multiply-add = 1")
    for name, gflops in figures["by_module"].items():
        if name.count(".") < depth:
            table.add_row(name, f"{gflops:.3f}", f"{100 * gflops / figures['gflops_view']:.1f} %")
    console = Console()
    console.print(table)
    console.print(f"parameters          {figures['params_m']:.2f} M")
    console.print(f"per view            {figures['gflops_view']:.2f} GFLOPs")
    console.print(
        f"per video           {figures['gflops_total']:.1f} GFLOPs, {figures['views']} views"
    )
    console.print(f"kept for backward   {figures['kept_mib_per_clip']:.0f} MiB per clip (fp32)")
    if "seconds_per_clip" in figures:
        console.print(f"forward             {figures['seconds_per_clip']:.3f} s per clip, batch 1")


if __name__ == "__main__":
    sys.exit(main())
