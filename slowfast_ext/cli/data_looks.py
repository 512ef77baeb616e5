"""The jobs of the data command that look at a data set and change nothing.

Each imports what it needs: a wrong command line and --help are answered before torch is loaded.
"""

import argparse
import os
from functools import partial
from typing import TYPE_CHECKING

from yacs.config import CfgNode

from slowfast_ext.errors import DataError

if TYPE_CHECKING:
    from slowfast_ext.data.curation import health
    from slowfast_ext.data.records import VideoSet


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
