"""Features of videos as files: slowfast-ext features --weights CHECKPOINT VIDEO|FOLDER|GLOB|LIST... --out FOLDER.

Writes one file per video (safetensors or npz: features, frames, seconds, fps) and index.csv. By default a feature is the
input of the classifier, averaged over the views, [C]. --block blocks.11: the tokens after a block, [views, tokens, C].
--stride 8: a feature every 8 frames, [windows, C], for localisation in time. Videos that the folder has already are skipped.
"""

import argparse
from collections.abc import Sequence

from slowfast_ext.cli import EXIT_INTERRUPTED, reported
from slowfast_ext.cli.videos import (
    EXIT_CODES,
    add_arguments,
    end_of,
    plain_output,
    recognizer_of,
    report,
    settings_of,
    workers_for,
    working,
)
from slowfast_ext.errors import ConfigError, Interrupted
from slowfast_ext.predict.kinds import FEATURES


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Write features; see the end of --help for exit codes."""
    args = _parse(argv)
    plain_output(argv)
    # Only what a wrong command line needs is imported before it is answered.
    from slowfast_ext.predict.lists import videos_of
    from slowfast_ext.predict.store import FeatureFolder
    from slowfast_ext.screen import plural

    share, shares = args.shard
    listed = videos_of(args.videos)[share - 1 :: shares]
    settings = settings_of(
        args, block=args.block, window=args.window, stride=args.stride, format=args.format
    )
    workers = workers_for(args.workers, len(listed))
    recognizer = recognizer_of(args)
    recognizer.check_block(args.block)
    part = f"{share}-of-{shares}" if shares > 1 else ""
    folder = FeatureFolder(args.out, settings, args.format, part, args.retry)
    todo = [own for own in listed if own.record.name not in folder.done]
    failed, count = folder.failed & {own.record.name for own in listed}, 0
    try:
        with working(recognizer, len(listed), workers, "features") as (inputs, done):
            found = recognizer.extract(
                [own.record for own in todo],
                inputs,
                block=args.block,
                window=args.window,
                stride=args.stride,
                views=args.views or "1x1",
                workers=workers,
            )
            for own, features in zip(todo, found, strict=True):
                folder.write(features, own.below)
                count += 1
                if features.error:
                    failed.add(features.video)
                    report(f"{features.video}: not read: {features.error}")
                done(len(listed) - len(todo) + count)
    except (KeyboardInterrupt, Interrupted):
        report(
            f"interrupted: {count} of {plural(len(todo), 'video')} done; the same command goes on"
        )
        return EXIT_INTERRUPTED
    finally:
        folder.close()
    before = f", {len(listed) - len(todo)} were there" if len(todo) < len(listed) else ""
    bad = (
        f"; {len(failed)} could not be read, see {folder.index} (--retry: again)" if failed else ""
    )
    report(f"{args.out}: features of {plural(len(listed), 'video')}{before}{bad}")
    return end_of(len(listed) - len(failed), len(failed))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="slowfast-ext features",
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser, "1x1")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where the files go")
    parser.add_argument(
        "--block",
        default="",
        metavar="NAME",
        help="a module of the backbone: blocks.11, stages.2.7",
    )
    parser.add_argument(
        "--window",
        type=int,
        default=0,
        metavar="N",
        help="frames of a window; default: what a clip spans",
    )
    parser.add_argument(
        "--stride",
        type=int,
        default=0,
        metavar="N",
        help="frames from window to window; default: one window",
    )
    parser.add_argument("--format", default=FEATURES[0], choices=FEATURES)
    parser.add_argument(
        "--shard",
        type=_shard,
        default=(1, 1),
        metavar="I/N",
        help="the I-th of N shares of the videos, for N machines",
    )
    args = parser.parse_args(argv)
    for name in ("window", "stride"):
        if getattr(args, name) < 0:
            raise ConfigError(f"--{name} {getattr(args, name)}: must be more than 0")
    return args


def _shard(text: str) -> tuple[int, int]:
    """ "2/8" -> (2, 8)"""
    share, _, shares = text.partition("/")
    if not (share.isdecimal() and shares.isdecimal() and 1 <= int(share) <= int(shares)):
        raise argparse.ArgumentTypeError(f"'{text}' is not like 2/8, the second of eight")
    return int(share), int(shares)
