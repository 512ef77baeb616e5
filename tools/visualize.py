"""Pictures of attention: tools/visualize.py --cfg FILE... --video V --out DIR [--weights W] [KEY VALUE ...].

What each variant shows: docs/visualize.md.
"""

import argparse
import sys
from pathlib import Path

from slowfast_ext.analysis.maps import record
from slowfast_ext.analysis.maps_pictures import chosen, draw
from slowfast_ext.analysis.maps_scene import load_clip, prepare
from slowfast_ext.config.command import add_config_arguments, config_of
from slowfast_ext.data.records import VideoSet
from slowfast_ext.engine.distributed import pick_device
from slowfast_ext.engine.initial import load_test_weights
from slowfast_ext.engine.seeding import seed_model
from slowfast_ext.errors import CheckpointError, ConfigError, DataError
from slowfast_ext.models import build_model, check_model


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument("--video", required=True, help="a video file or a folder of frames")
    parser.add_argument("--out", required=True, type=Path, help="folder for the pictures")
    parser.add_argument("--weights", help="checkpoint; without one: the initial weights")
    parser.add_argument(
        "--query", type=point, metavar="T,Y,X", help="frame and pixels of the crop; default: centre"
    )
    parser.add_argument("--head", type=int, help="one head instead of the mean of all")
    parser.add_argument("--layer", nargs="+", default=[], help="default: the last of each kind")
    return parser.parse_args()


def point(text: str) -> tuple[int, int, int]:
    """Three whole numbers with commas between."""
    t, y, x = map(int, text.split(","))
    return t, y, x


def main() -> int:
    """Write the pictures and name them; exit code 1 where no layer has one, 2 for a wrong command."""
    args = parse_args()
    try:
        return visualize(args)
    except (ConfigError, DataError, CheckpointError) as error:
        print(error, file=sys.stderr)
        return 2


def visualize(args: argparse.Namespace) -> int:
    """The command itself."""
    cfg = config_of(args, checks=(check_model,))
    seed_model(cfg.RNG_SEED)
    model = build_model(cfg)
    if args.weights:
        load_test_weights(cfg, model, Path(args.weights), VideoSet("", "test", ()))
    note = Path(args.weights).name if args.weights else "initial weights"
    clip_TCHW = load_clip(cfg, args.video)
    scene, clip_BCTHW = prepare(cfg, clip_TCHW, args.query, args.head, note)
    device = pick_device(cfg)
    seen = chosen(record(model.to(device), clip_BCTHW.to(device)), args.layer)
    args.out.mkdir(parents=True, exist_ok=True)
    written = 0
    for item in seen:
        try:
            for kind, figure in draw(item, scene):
                path = args.out / f"{item.name}.{kind}.png"
                figure.savefig(path)
                print(path)
                written += 1
        except ConfigError as error:
            print(f"{item.name}: not drawn: {error}", file=sys.stderr)
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())
