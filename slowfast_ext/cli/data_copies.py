"""The jobs of the data command that copy a data set, with their arguments.

Each imports what it needs: a wrong command line and --help are answered before torch is loaded.
"""

import argparse
from dataclasses import fields

from yacs.config import CfgNode

from slowfast_ext.data.curation.recipe import ENCODERS, Recipe


def add_recipe(job: argparse.ArgumentParser) -> None:
    """Arguments of transcode: one for each field of a Recipe, with its default."""
    job.add_argument("--out", required=True, help="folder of the copies")
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


def add_pack(job: argparse.ArgumentParser) -> None:
    """Arguments of pack."""
    job.add_argument("--out", required=True, help="folder of the pack")
    job.add_argument("--shard-size", type=int, default=1024, help="MiB of a tar file")


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
