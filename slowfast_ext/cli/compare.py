"""Runs side by side: slowfast-ext compare OUTPUT_ROOT... [--metric top1_acc] [--markdown].

Each OUTPUT_ROOT holds runs as exp/<name>/run.sh and test.sh leave them, OUTPUT_ROOT/<name>; runs of the same name in
several roots (seeds) become one row: mean and sample standard deviation.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from slowfast_ext.cli import reported


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 2 where there are no results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("roots", nargs="+", type=Path, metavar="OUTPUT_ROOT")
    parser.add_argument("--metric", default="top1_acc", help="one of results/metrics.json")
    parser.add_argument("--markdown", action="store_true", help="a table to paste into a document")
    args = parser.parse_args(argv)

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from slowfast_ext.analysis.compare import COLUMNS, as_rows, read_experiments

    rows = as_rows(read_experiments(args.roots, args.metric))
    table = Table(*COLUMNS, box=box.MARKDOWN if args.markdown else box.HEAVY_HEAD)
    for row in rows:
        table.add_row(*row)
    Console(width=160).print(table)
    return 0
