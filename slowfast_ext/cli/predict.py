"""What videos show: slowfast-ext predict --weights CHECKPOINT VIDEO|FOLDER|GLOB|LIST... [--out FILE.jsonl].

The checkpoint alone is enough: its configuration and class names are inside. Without --out the best classes are
printed; with it they are written, a line a video, and what the file has already is not computed again.
--window 2 --stride 1 slides over long videos: what is shown when, as csv, subtitles and a picture (--timeline), or
drawn on a copy of the video (--render).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from slowfast_ext.cli import reported
from slowfast_ext.cli.videos import EXIT_CODES, add_arguments, plain_output
from slowfast_ext.errors import ConfigError


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Predict; see the end of --help for exit codes."""
    args = _parse(argv)
    plain_output(argv)
    # torch is loaded from here on: a wrong command line is answered before.
    from slowfast_ext.cli.predicting import run

    return run(args)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="slowfast-ext predict",
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser, "as in the checkpoint's test; 1x1 with --window")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="best classes to tell")
    parser.add_argument("--out", metavar="FILE", help=".jsonl or .csv, a line a video or window")
    parser.add_argument(
        "--window", type=float, default=0.0, metavar="S", help="seconds; slide over the video"
    )
    parser.add_argument(
        "--stride", type=float, default=0.0, metavar="S", help="seconds; default: half a window"
    )
    parser.add_argument(
        "--timeline", type=Path, metavar="FOLDER", help="csv, srt and png of each video"
    )
    parser.add_argument(
        "--render",
        metavar="OUT.mp4",
        help="the video with its labels drawn; a folder for several videos",
    )
    args = parser.parse_args(argv)
    if args.top < 1:
        raise ConfigError(f"--top {args.top}: must be at least 1")
    for name in ("window", "stride"):
        if getattr(args, name) < 0:
            raise ConfigError(f"--{name} {getattr(args, name):g}: must be more than 0")
    if (args.stride or args.timeline) and not args.window:
        raise ConfigError(f"{'--stride' if args.stride else '--timeline'} needs --window SECONDS")
    return args
