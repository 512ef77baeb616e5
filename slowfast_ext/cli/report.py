"""A picture of a run's clips and curve: slowfast-ext report --cfg FILE --out PNG [OUTPUT_DIR DIR KEY VALUE ...]."""

import argparse
from collections.abc import Sequence

from slowfast_ext.analysis.report.picture import draw_run
from slowfast_ext.cli import reported
from slowfast_ext.config.command import add_config_arguments, config_of
from slowfast_ext.data.annotations import read_videos


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Write the picture; 2 for a bad configuration or data that cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument("--out", required=True, metavar="PNG")
    parser.add_argument("--clips", type=int, default=6, help="clips to show, of different classes")
    args = parser.parse_args(argv)
    cfg = config_of(args)
    draw_run(cfg, read_videos(cfg, "val"), args.clips).savefig(args.out, dpi=80)
    print(args.out)
    return 0
