"""Predict the classes of videos: slowfast-ext predict --weights CHECKPOINT VIDEO|FOLDER|GLOB|LIST... [--out FILE.jsonl].

The checkpoint is enough: its configuration and class names are inside. Without --out the best classes are printed. With
it they are written, one line per video, and videos that the file has already are skipped.
--window 2 --stride 1 slides over long videos and tells what is seen when: as csv, subtitles and a picture (--timeline),
or drawn on a copy of the video (--render).
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
    parser.add_argument(
        "--top", type=int, default=5, metavar="K", help="number of best classes to give"
    )
    parser.add_argument(
        "--out", metavar="FILE", help=".jsonl or .csv, one line per video or window"
    )
    parser.add_argument(
        "--window",
        type=float,
        default=0.0,
        metavar="S",
        help="slide over the video with windows of so many seconds",
    )
    parser.add_argument(
        "--stride",
        type=float,
        default=0.0,
        metavar="S",
        help="seconds from window to window; default: half a window",
    )
    parser.add_argument(
        "--timeline", type=Path, metavar="FOLDER", help="write csv, srt and png of each video there"
    )
    parser.add_argument(
        "--render",
        metavar="OUT.mp4",
        help="a copy of the video with its labels drawn; a folder for several videos",
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
