"""The jobs of tools/data.py: what is read, written and printed. Each gives an exit code, 0 where all is well."""

import os
from collections.abc import Sequence
from functools import partial

from rich.progress import track
from yacs.config import CfgNode

from slowfast_ext.data import health
from slowfast_ext.data.annotations import read_listed, read_videos
from slowfast_ext.data.annotations.lists import media_root
from slowfast_ext.data.annotations.manifest import write_manifest
from slowfast_ext.data.annotations.media import is_video, some
from slowfast_ext.data.records import VideoSet
from slowfast_ext.data.transcode import Recipe, plan, transcode_all
from slowfast_ext.errors import DataError


def check(cfg: CfgNode, splits: Sequence[str], workers: int) -> int:
    """Decode every listed video; a report and a manifest of the usable ones for each split."""
    folder = _folder(cfg)
    is_sound = True
    for split in splits:
        video_set = read_listed(cfg, split)
        found = _inspect(cfg, video_set, workers, every_frame=True)
        report = os.path.join(folder, f"report_{split}.tsv")
        health.write_report(found, report)
        clean = write_manifest(
            video_set, health.usable_records(found), os.path.join(folder, "clean")
        )
        print("\n".join([*health.summary(video_set, found), f"  report: {report}"]))
        print(f"  usable videos: {clean} (TRAIN.DATASET manifest, TEST.DATASET manifest)")
        is_sound &= all(verdict.verdict == health.OK for _, verdict in found)
    return 0 if is_sound else 1


def stats(cfg: CfgNode, splits: Sequence[str], workers: int) -> int:
    """Print the figures of each split and draw them."""
    from slowfast_ext.data.stats import collect, describe, picture

    for split in splits:
        video_set = read_listed(cfg, split)
        found = _inspect(cfg, video_set, workers, every_frame=False)
        figures = collect(video_set, found)
        path = os.path.join(_folder(cfg), f"stats_{split}.png")
        picture(figures, path)
        print("\n".join([*describe(figures), f"  picture: {path}"]))
    return 0


def transcode(cfg: CfgNode, splits: Sequence[str], out: str, recipe: Recipe, workers: int) -> int:
    """Copy the video files of all splits; says which could not be copied."""
    records = [record for split in splits for record in read_videos(cfg, split)]
    paths = [record.path for record in records if is_video(record.path)]
    copies = plan(paths, media_root(cfg), out, recipe)
    print(f"{len(set(paths))} videos, {len(set(paths)) - len(copies)} of them copied before")
    jobs = transcode_all(copies, recipe, workers)
    failed = [
        outcome.error for _, outcome in track(jobs, "transcode", total=len(copies)) if outcome.error
    ]
    if failed:
        print(f"{len(failed)} could not be copied: {some(failed, 10)}")
    print(f"{len(copies) - len(failed)} copied; set DATA.PATH_PREFIX to {out}")
    return 1 if failed else 0


def browse(cfg: CfgNode, clips: int, epoch: int) -> int:
    """Draw the first training batch of an epoch."""
    from slowfast_ext.data.browse import contact_sheet

    videos = read_videos(cfg, "train")
    path = os.path.join(_folder(cfg), f"browse_{epoch}.png")
    contact_sheet(cfg, videos, health.configured_source(cfg), clips, epoch=epoch).save(path)
    print(path)
    return 0


def _inspect(
    cfg: CfgNode, video_set: VideoSet, workers: int, every_frame: bool
) -> list[health.Found]:
    cache = os.path.join(_folder(cfg), "verdicts.jsonl")
    records = list(video_set)
    make_source = partial(health.configured_source, cfg)
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
