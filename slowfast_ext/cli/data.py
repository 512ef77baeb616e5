"""Look after a data set: slowfast-ext data {check,stats,transcode,pack,browse,label-maps} --cfg FILE... [KEY VALUE ...].

check      open and decode every video; writes OUTPUT_DIR/data/report_<split>.tsv and clean lists
stats      classes, lengths, frame rates, sizes; writes OUTPUT_DIR/data/stats_<split>.png
transcode  smaller copies of all videos below --out, with the same names
pack       all videos or frame folders in a few tar files below --out, read at random, also from S3 and the like
browse     what training feeds to the model, as OUTPUT_DIR/data/browse_<epoch>.png
label-maps what a teacher sees in each part of every image, for TASK token_labelling (docs/token_labelling.md)
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from yacs.config import CfgNode

from slowfast_ext.cli import reported
from slowfast_ext.cli.signals import stop_on_signals
from slowfast_ext.config.command import add_config_arguments, config_of, refuse_mistakes
from slowfast_ext.data.curation.recipe import ENCODERS, Recipe
from slowfast_ext.data.records import SPLITS
from slowfast_ext.errors import ConfigError, DataError

# Each job imports what it needs: a wrong command line and --help are answered before torch is loaded.
if TYPE_CHECKING:
    from slowfast_ext.data.curation import health
    from slowfast_ext.data.label_maps import LabelMaps
    from slowfast_ext.data.records import VideoRecord, VideoSet
    from slowfast_ext.predict.label_maps import Teacher


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done and sound, 1 something is wrong with the videos, 2 bad configuration or list, 74 a file cannot be
    written, 75 interrupted: the same command goes on where it stopped."""
    args = _parse(argv)
    refuse_mistakes(args)
    with stop_on_signals(polled=False):
        return int(args.run(config_of(args), args))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = parser.add_subparsers(metavar="JOB", required=True)
    for run in (check, stats, transcode, pack, browse, label_maps):
        job = jobs.add_parser(
            run.__name__.replace("_", "-"), help=(run.__doc__ or "").splitlines()[0]
        )
        job.set_defaults(run=run)
        add_config_arguments(job)
        if run is not browse:
            splits = ["train"] if run is label_maps else ["train", "val"]
            job.add_argument("--split", nargs="+", default=splits, choices=SPLITS)
            job.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
        if run is transcode:
            job.add_argument("--out", required=True, help="folder of the copies")
            _add_recipe(job)
        if run is pack:
            job.add_argument("--out", required=True, help="folder of the pack")
            job.add_argument("--shard-size", type=int, default=1024, help="MiB of a tar file")
        if run is browse:
            job.add_argument("--clips", type=int, default=12, help="rows")
            job.add_argument("--epoch", type=int, default=0)
        if run is label_maps:
            _add_teacher(job)
    return parser.parse_args(argv)


def _add_recipe(job: argparse.ArgumentParser) -> None:
    """An argument for each field of a Recipe, with its default."""
    helps = {
        "short_side": "pixels",
        "gop": "frames between key frames",
        "codec": " or ".join(ENCODERS),
        "crf": "constant quality",
    }
    for field in fields(Recipe):
        job.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            default=field.default,
            help=f"{helps[field.name]}; default: %(default)s",
        )


def _add_teacher(job: argparse.ArgumentParser) -> None:
    """Arguments of label-maps."""
    job.add_argument(
        "--weights", required=True, metavar="TEACHER",
        help="checkpoint of a classifier of images, trained here; with --model of any family",
    )  # fmt: skip
    job.add_argument("--model", default="", help="name of the zoo, or a YAML file of the weights")
    job.add_argument("--out", default="", help="folder of the maps; default: TOKEN_LABELS.PATH")
    job.add_argument("--size", type=int, default=0, help="pixels; default: the teacher's test crop")
    job.add_argument("--best", type=int, default=5, help="classes of a cell; default: %(default)s")
    job.add_argument("--batch", type=int, default=32, help="images; default: %(default)s")
    job.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))


def check(cfg: CfgNode, args: argparse.Namespace) -> int:
    """Decode every listed video; a report and a manifest of the usable ones for each split."""
    from slowfast_ext.data.annotations import read_listed
    from slowfast_ext.data.annotations.manifest import write_manifest
    from slowfast_ext.data.curation import health

    folder = _folder(cfg)
    is_sound = True
    for split in args.split:
        video_set = read_listed(cfg, split)
        found = _inspect(cfg, video_set, args.workers, every_frame=True)
        report = os.path.join(folder, f"report_{split}.tsv")
        health.write_report(found, report)
        clean = write_manifest(
            video_set, health.usable_records(found), os.path.join(folder, "clean")
        )
        print("\n".join([*health.summary(video_set, found), f"  report: {report}"]))
        print(f"  usable videos: {clean} (TRAIN.DATASET manifest, TEST.DATASET manifest)")
        is_sound &= all(verdict.verdict == health.OK for _, verdict in found)
    return 0 if is_sound else 1


def stats(cfg: CfgNode, args: argparse.Namespace) -> int:
    """Print the numbers of each split and draw them."""
    from slowfast_ext.data.annotations import read_listed
    from slowfast_ext.data.curation.stats import collect, describe, picture
    from slowfast_ext.tasks import build_task

    for split in args.split:
        video_set = read_listed(cfg, split)
        found = _inspect(cfg, video_set, args.workers, every_frame=False)
        numbers = collect(video_set, build_task(cfg), found)
        path = os.path.join(_folder(cfg), f"stats_{split}.png")
        picture(numbers, path)
        print("\n".join([*describe(numbers), f"  picture: {path}"]))
    return 0


def transcode(cfg: CfgNode, args: argparse.Namespace) -> int:
    """Copy the video files of all splits; says which could not be copied."""
    from rich.progress import track

    from slowfast_ext.data.annotations import read_videos
    from slowfast_ext.data.annotations.media import is_video, some
    from slowfast_ext.data.curation.transcode import plan, transcode_all

    recipe = Recipe(**{field.name: getattr(args, field.name) for field in fields(Recipe)})
    records = [record for split in args.split for record in read_videos(cfg, split)]
    paths = [record.path for record in records if is_video(record.path)]
    root = cfg.DATA.PATH_PREFIX or cfg.DATA.PATH_TO_DATA_DIR
    copies = plan(paths, root, args.out, recipe)
    print(f"{len(set(paths))} videos, {len(set(paths)) - len(copies)} of them copied before")
    jobs = transcode_all(copies, recipe, args.workers)
    failed = [
        outcome.error for _, outcome in track(jobs, "transcode", total=len(copies)) if outcome.error
    ]
    if failed:
        print(f"{len(failed)} could not be copied: {some(failed, 10)}")
    print(f"{len(copies) - len(failed)} copied; set DATA.PATH_PREFIX to {args.out}")
    return 1 if failed else 0


def pack(cfg: CfgNode, args: argparse.Namespace) -> int:
    """Pack the files of all splits; says which could not be read."""
    from rich.progress import track

    from slowfast_ext.data.annotations import read_videos
    from slowfast_ext.data.annotations.media import some
    from slowfast_ext.data.curation.pack import Packing

    sets = [read_videos(cfg, split) for split in args.split]
    root = cfg.DATA.PATH_PREFIX or cfg.DATA.PATH_TO_DATA_DIR
    failed: list[str] = []
    with Packing(sets, root, args.out, args.shard_size << 20) as packing:
        print(f"{packing.samples} files or frame folders, {packing.done} of them packed before")
        for progress in track(packing.run(args.workers), "pack", total=len(packing)):
            failed += progress.failed
        print(f"{packing.samples - len(failed)} are in {args.out}")
    if failed:
        print(f"{len(failed)} could not be packed: {some(failed, 10)}")
    print(
        f"Keep your lists and set DATA.PATH_PREFIX to {args.out}, or use the lists in the pack:"
        f" TRAIN.DATASET manifest TEST.DATASET manifest DATA.PATH_TO_DATA_DIR {args.out}"
    )
    return 1 if failed else 0


def browse(cfg: CfgNode, args: argparse.Namespace) -> int:
    """Draw the first training batch of an epoch."""
    from slowfast_ext.config import options_of
    from slowfast_ext.data.annotations import read_videos
    from slowfast_ext.data.curation.browse import contact_sheet
    from slowfast_ext.data.dataset import TrainClips
    from slowfast_ext.data.decode.source import VideoSource
    from slowfast_ext.data.loader import LoaderOptions, TrainLoader
    from slowfast_ext.data.transforms.device import PixelOptions
    from slowfast_ext.data.transforms.mixing import MixupOptions
    from slowfast_ext.tasks import build_task

    task = build_task(cfg)
    clips = TrainClips.from_cfg(cfg, read_videos(cfg, "train"), VideoSource.from_cfg(cfg))
    size = cfg.TRAIN.BATCH_SIZE * cfg.NUM_SHARDS
    loader = TrainLoader(clips, task, size, options=LoaderOptions(num_workers=0))
    pixels, mixup = options_of(cfg, PixelOptions), options_of(cfg, MixupOptions)
    path = os.path.join(_folder(cfg), f"browse_{args.epoch}.png")
    contact_sheet(loader, task, pixels, mixup, args.clips, epoch=args.epoch).save(path)
    print(path)
    return 0


def label_maps(cfg: CfgNode, args: argparse.Namespace) -> int:
    """Make the label maps of token labelling with a teacher; says which images could not be read."""
    from rich.progress import track

    from slowfast_ext.data.decode.source import VideoSource
    from slowfast_ext.predict.label_maps import make_label_maps

    if min(args.batch, args.workers + 1) < 1:
        raise ConfigError("--batch and --workers: a batch has an image or more, and 0 is the least of processes")  # fmt: skip
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
    """The teacher, the folder of its maps, the number of images, and those without a map; all that can be wrong is said before the folder is touched."""
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


def _inspect(
    cfg: CfgNode, video_set: "VideoSet", workers: int, every_frame: bool
) -> "list[health.Found]":
    from rich.progress import track

    from slowfast_ext.data.curation import health
    from slowfast_ext.data.decode.source import VideoSource

    cache = os.path.join(_folder(cfg), "verdicts.jsonl")
    records = list(video_set)
    make_source = partial(VideoSource.from_cfg, cfg)
    jobs = health.inspect_all(records, make_source, cache, workers, every_frame)
    verdict_of = dict(track(jobs, video_set.split, total=len(records)))
    return [(record, verdict_of[record]) for record in records]


def _folder(cfg: CfgNode) -> str:
    folder = os.path.join(cfg.OUTPUT_DIR, "data")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise DataError(f"OUTPUT_DIR: {folder} cannot be made: {error.strerror}") from error
    return folder
