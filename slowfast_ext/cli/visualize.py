"""Attention of a clip: slowfast-ext visualize --video V [--html FILE.html] [--out DIR] [--weights W] [--cfg FILE...] [KEY VALUE ...].

A checkpoint of ours holds its configuration; --cfg is for other weights, or for none.

--html: one page to click through, every layer, head and patch. --out: a PNG for each layer and kind of picture. What each variant shows: docs/visualize.md.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from slowfast_ext.cli import reported
from slowfast_ext.config.command import (
    add_config_arguments,
    config_of,
    files_and_pairs,
    refuse_mistakes,
)
from slowfast_ext.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn
    from yacs.config import CfgNode

    from slowfast_ext.analysis.explorer.top_classes import Prediction
    from slowfast_ext.analysis.maps import Seen
    from slowfast_ext.analysis.maps_scene import Scene


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Write the pictures and name them; exit code 1 where no layer has one, 2 for a wrong command."""
    args = _parse(argv)
    refuse_mistakes(args)
    # Only what a wrong command line needs is imported before it is answered.
    from slowfast_ext.analysis.explorer import build_explorer, predictions
    from slowfast_ext.analysis.maps import record
    from slowfast_ext.analysis.maps_pictures import chosen
    from slowfast_ext.analysis.maps_scene import load_clip, make_scene
    from slowfast_ext.analysis.page import write_page
    from slowfast_ext.config import options_of
    from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
    from slowfast_ext.engine.distributed import pick_device

    cfg = _configuration(args)
    (model, has_head), device = _model(cfg, args.weights), pick_device(cfg.DEVICE)
    clip_TCHW = load_clip(cfg, args.video)
    clip_BCTHW = to_model_input(clip_TCHW[None].to(device), options_of(cfg, PixelOptions))
    seen = record(model.to(device), clip_BCTHW)
    best = predictions(model, clip_BCTHW, cfg.DATA.MULTI_LABEL, _class_names(args.weights))
    note = Path(args.weights).name if args.weights else "initial weights"
    says = "; ".join(map(_first, best)) if has_head else ""
    scene = make_scene(clip_TCHW, args.query, args.head, note)
    if says:
        print(says)
    if args.html:
        named = chosen(seen, args.layer) if args.layer else seen
        title = f"{Path(args.video).name}, {note}"
        write_page(args.html, build_explorer(named, scene, title, best, args.max_mb))
        print(f"written: {args.html} ({args.html.stat().st_size / 1e6:.1f} MB)")
    if not args.out:
        return 0
    scene = replace(scene, note=", ".join(filter(None, (note, says))))
    args.out.mkdir(parents=True, exist_ok=True)
    return 0 if sum(_save(item, scene, args.out) for item in chosen(seen, args.layer)) else 1


def _first(prediction: "Prediction") -> str:
    name, probability = prediction.best[0]
    return f"predicted{' ' if prediction.head else ''}{prediction.head}: {name} ({100 * probability:.1f} %)"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="slowfast-ext visualize", description=__doc__)
    add_config_arguments(parser)
    parser.add_argument("--video", required=True, help="a video file or a folder of frames")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page to click through")
    parser.add_argument(
        "--max-mb",
        type=float,
        default=30,
        help="size of the weights in the page, before compression; default: %(default)g",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for pictures")
    parser.add_argument("--weights", help="a checkpoint; default: the initial weights")
    parser.add_argument(
        "--query",
        type=point,
        metavar="T,Y,X",
        help="frame, row and column of the crop in pixels; default: centre",
    )
    parser.add_argument("--head", type=int, help="one head instead of the mean of all")
    parser.add_argument(
        "--layer",
        nargs="+",
        default=[],
        help="names of layers; default: for --html all that fit, for --out the last of each kind",
    )
    args = parser.parse_args(argv)
    if not (args.html or args.out):
        parser.error("give --html FILE for a page, --out DIR for pictures, or both")
    return args


def point(text: str) -> tuple[int, int, int]:
    """Three whole numbers with commas between."""
    t, y, x = map(int, text.split(","))
    return t, y, x


def _configuration(args: argparse.Namespace) -> "CfgNode":
    """Of the files; without any, the checkpoint's own with the pairs over it."""
    from slowfast_ext.config import load_text
    from slowfast_ext.files import read_weights
    from slowfast_ext.models import check_model
    from slowfast_ext.released.find import find_weights

    if args.weights:
        args.weights = str(find_weights(args.weights))
    files, pairs = files_and_pairs(args)
    own = read_weights(args.weights).get("cfg") if args.weights and not files else None
    if isinstance(own, str):
        return load_text(own, str(args.weights), pairs)
    return config_of(args, checks=(check_model,))


def _model(cfg: "CfgNode", weights: str | None) -> tuple["nn.Module", bool]:
    """With the weights, and whether they have all of it: a head that starts anew predicts nothing."""
    from slowfast_ext.config import options_of
    from slowfast_ext.data.seeds import seed_model
    from slowfast_ext.engine.load import load_trained_weights
    from slowfast_ext.models import build_model
    from slowfast_ext.models.weights import LoadOptions

    seed_model(cfg.RNG_SEED)
    model = build_model(cfg)
    if not weights:
        return model, False
    report = load_trained_weights(model, Path(weights), options_of(cfg, LoadOptions))
    return model, not (report.head or report.new)


def _class_names(weights: str | None) -> Sequence[Sequence[str]]:
    """Of each head, from the checkpoint; none where it has none."""
    from slowfast_ext.files import read_weights

    names = read_weights(weights).get("class_names") if weights else None
    return names if isinstance(names, (list, tuple)) else ()


def _save(seen: "Seen", scene: "Scene", folder: Path) -> int:
    """How many pictures of a layer were written."""
    from slowfast_ext.analysis.maps_pictures import draw

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
