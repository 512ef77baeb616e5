"""Look after a data set: tools/data.py {check,stats,transcode,browse} --cfg FILE... [KEY VALUE ...].

check      open and decode every video; writes OUTPUT_DIR/data/report_<split>.tsv and clean lists
stats      classes, lengths, frame rates, sizes; writes OUTPUT_DIR/data/stats_<split>.png
transcode  smaller copies of all videos below --out, with the same names
browse     what training feeds to the model, as OUTPUT_DIR/data/browse_<epoch>.png
"""

import argparse
import os
import sys


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; what is no option is a KEY VALUE pair."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", choices=("check", "stats", "transcode", "browse"))
    parser.add_argument(
        "--cfg", nargs="+", default=[], metavar="FILE", help="YAML files, then pairs"
    )
    parser.add_argument(
        "--split", nargs="+", default=["train", "val"], choices=("train", "val", "test")
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--out", help="transcode: folder of the copies")
    parser.add_argument("--short-side", type=int, default=256, help="transcode: pixels")
    parser.add_argument("--gop", type=int, default=12, help="transcode: frames between key frames")
    parser.add_argument("--codec", default="h264", help="transcode: h264, h265 or vp9")
    parser.add_argument("--crf", type=int, default=20, help="transcode: constant quality")
    parser.add_argument("--clips", type=int, default=12, help="browse: rows")
    parser.add_argument("--epoch", type=int, default=0, help="browse: epoch")
    args, pairs = parser.parse_known_args(argv)
    unknown = [word for word in pairs if word.startswith("--")]
    if unknown:
        parser.error(f"unknown option {unknown[0]}")
    files = [value for value in args.cfg if value.endswith((".yaml", ".yml"))]
    args.pairs = [*args.cfg[len(files) :], *pairs]
    args.cfg = files
    if args.job == "transcode" and not args.out:
        parser.error("transcode needs --out FOLDER")
    return args


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done and sound, 1 something is wrong with the videos, 2 bad configuration or list, 130 interrupted."""
    args = parse_args(argv)
    from slowfast_ext.config import load_config
    from slowfast_ext.data import care
    from slowfast_ext.errors import ConfigError, DataError

    try:
        cfg = load_config(args.cfg, args.pairs)
        if args.job == "transcode":
            from slowfast_ext.data.transcode import Recipe

            recipe = Recipe(args.short_side, args.gop, args.codec, args.crf)
            return care.transcode(cfg, args.split, args.out, recipe, args.workers)
        if args.job == "browse":
            return care.browse(cfg, args.clips, args.epoch)
        job = care.check if args.job == "check" else care.stats
        return job(cfg, args.split, args.workers)
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.exit(main())
