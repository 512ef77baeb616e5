"""Pictures of attention: slowfast-ext visualize --cfg FILE... --video V --out DIR [--weights W] [KEY VALUE ...].

What each variant shows: docs/visualize.md.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import nn
from yacs.config import CfgNode

from slowfast_ext.analysis.maps import Seen, record
from slowfast_ext.analysis.maps_pictures import chosen, draw
from slowfast_ext.analysis.maps_scene import Scene, load_clip, make_scene
from slowfast_ext.cli import reported
from slowfast_ext.config import options_of
from slowfast_ext.config.command import add_config_arguments, config_of
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.engine.distributed import pick_device
from slowfast_ext.engine.load import load_test_weights
from slowfast_ext.engine.seeding import seed_model
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import build_model, check_model
from slowfast_ext.models.weights import LoadOptions


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Write the pictures and name them; exit code 1 where no layer has one, 2 for a wrong command."""
    args = _parse(argv)
    cfg = config_of(args, checks=(check_model,))
    model = _model(cfg, args.weights)
    note = Path(args.weights).name if args.weights else "initial weights"
    clip_TCHW = load_clip(cfg, args.video)
    scene = make_scene(clip_TCHW, args.query, args.head, note)
    device = pick_device(cfg.DEVICE)
    clip_BCTHW = to_model_input(clip_TCHW[None].to(device), options_of(cfg, PixelOptions))
    seen = chosen(record(model.to(device), clip_BCTHW), args.layer)
    args.out.mkdir(parents=True, exist_ok=True)
    return 0 if sum(_save(item, scene, args.out) for item in seen) else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
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
    return parser.parse_args(argv)


def point(text: str) -> tuple[int, int, int]:
    """Three whole numbers with commas between."""
    t, y, x = map(int, text.split(","))
    return t, y, x


def _model(cfg: CfgNode, weights: str | None) -> nn.Module:
    seed_model(cfg.RNG_SEED)
    model = build_model(cfg)
    if weights:
        load_test_weights(model, Path(weights), options_of(cfg, LoadOptions))
    return model


def _save(seen: Seen, scene: Scene, folder: Path) -> int:
    """How many pictures of a layer were written."""
    try:
        pictures = draw(seen, scene)
    except ConfigError as error:
        print(f"{seen.name}: not drawn: {error}", file=sys.stderr)
        return 0
    for kind, figure in pictures:
        path = folder / f"{seen.name}.{kind}.png"
        figure.savefig(path)
        print(path)
    return len(pictures)
