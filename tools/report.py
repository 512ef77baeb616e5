"""A picture of a run's clips and curve: tools/report.py --cfg FILE --out PNG [--opts OUTPUT_DIR DIR KEY VALUE ...]."""

import argparse
import sys

from slowfast_ext.analysis.report import draw_run
from slowfast_ext.config.command import add_config_arguments, config_of
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.errors import ConfigError, DataError


def main() -> int:
    """Write the picture; 2 for a bad configuration or data that cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument("--out", required=True, metavar="PNG")
    parser.add_argument("--clips", type=int, default=6, help="clips to show, of different classes")
    args = parser.parse_args()
    try:
        cfg = config_of(args)
        draw_run(cfg, read_videos(cfg, "val"), args.clips).savefig(args.out, dpi=80)
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
