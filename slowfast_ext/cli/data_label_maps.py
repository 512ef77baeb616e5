"""The job of the data command that makes label maps for token labelling, with its arguments.

It imports what it needs: a wrong command line and --help are answered before torch is loaded.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from yacs.config import CfgNode

from slowfast_ext.errors import ConfigError

if TYPE_CHECKING:
    from slowfast_ext.data.label_maps import LabelMaps
    from slowfast_ext.data.records import VideoRecord
    from slowfast_ext.predict.label_maps import Teacher


def add_teacher(job: argparse.ArgumentParser) -> None:
    """Arguments of label-maps."""
    job.add_argument(
        "--weights", required=True, metavar="TEACHER",
        help="checkpoint of an image classifier, trained here; with --model also weights of other programs",
    )  # fmt: skip
    job.add_argument("--model", default="", help="model of the weights: a name, or a YAML file")
    job.add_argument("--out", default="", help="folder of the maps; default: TOKEN_LABELS.PATH")
    job.add_argument(
        "--size",
        type=int,
        default=0,
        help="side of the teacher's input in pixels; default: its test crop",
    )
    job.add_argument(
        "--best", type=int, default=5, help="classes kept for each part; default: %(default)s"
    )
    job.add_argument("--batch", type=int, default=32, help="images at a time; default: %(default)s")
    job.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))


def label_maps(cfg: CfgNode, args: argparse.Namespace) -> int:
    """Make the label maps of token labelling with a teacher; says which images could not be read."""
    from rich.progress import track

    from slowfast_ext.data.decode.source import VideoSource
    from slowfast_ext.predict.label_maps import make_label_maps

    if min(args.batch, args.workers + 1) < 1:
        raise ConfigError("--batch must be at least 1, and --workers at least 0")  # fmt: skip
    teacher, maps, number, todo = _lesson(cfg, args)
    print(f"{number} images, {number - len(todo)} of them have a map")
    source = VideoSource.from_cfg(cfg)
    made = make_label_maps(teacher, maps, todo, source, args.best, args.batch, args.workers)
    failed = 0
    for image in track(made, "label maps", total=len(todo)):
        if image.error:
            failed += 1
            print(f"{image.record.shown}: {image.error}")
    print(f"{number - failed} maps are in {maps.folder}: TOKEN_LABELS.PATH {maps.folder}")
    if failed:
        print(f"{failed} images have none; the same command tries them again")
    return 1 if failed else 0


def _lesson(
    cfg: CfgNode, args: argparse.Namespace
) -> "tuple[Teacher, LabelMaps, int, list[VideoRecord]]":
    """The teacher, the folder of its maps, the number of images, and those without a map. Raises before the folder is touched."""
    from slowfast_ext.config import options_of
    from slowfast_ext.data.annotations import read_videos
    from slowfast_ext.data.label_maps import LabelMaps
    from slowfast_ext.engine.distributed import pick_device
    from slowfast_ext.predict.label_maps import Teacher
    from slowfast_ext.predict.lines import fingerprint, remember
    from slowfast_ext.predict.load import checkpoint_in, model_of
    from slowfast_ext.predict.store import SETTINGS
    from slowfast_ext.tasks import build_task
    from slowfast_ext.tasks.token_labelling import TokenLabelOptions

    folder = Path(args.out or options_of(cfg, TokenLabelOptions).path)
    if folder == Path():
        raise ConfigError("--out: name a folder for the label maps, or set TOKEN_LABELS.PATH")
    sets = [read_videos(cfg, split) for split in args.split]
    weights = checkpoint_in(args.weights)
    model = model_of(weights, args.model)
    teacher = Teacher.of(model, pick_device(cfg.DEVICE), args.size, args.precision)
    num_classes, *more = build_task(cfg).num_classes
    if more:
        raise ConfigError("MODEL.NUM_CLASSES: label maps are for one head")
    for own in sets:
        names = own.class_names[0] if own.class_names else ()
        teacher.require_for(num_classes, names, args.best)
    records = [record for own in sets for record in own]
    maps = LabelMaps(folder, num_classes)
    todo = maps.without_map(records)
    made = {"weights": f"{weights.name} {fingerprint(weights)}", "model": args.model}
    made |= {"size": list(teacher.size), "best": args.best}
    remember(folder / SETTINGS, made, folder)
    return teacher, maps, len(records), todo
