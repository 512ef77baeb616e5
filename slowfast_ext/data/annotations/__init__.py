"""Annotation readers, one file a data set, and the doors to them: `read_videos` and `read_listed`.

A reader is registered with the option classes that it takes: `@DATASETS.register("epic", EpicOptions)` over
`def read_epic(lists: Lists, split: str, options: EpicOptions) -> VideoSet`.
"""

from dataclasses import replace

from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.annotations.list_checks import (
    check_labels,
    keep_present,
    listed_twice,
    look_into_folders,
    missing_classes,
)
from slowfast_ext.data.annotations.lists import ClassNameOptions, ListOptions, Lists
from slowfast_ext.data.annotations.packed import PackedRecords
from slowfast_ext.data.records import DATASETS, SPLITS, VideoSet
from slowfast_ext.errors import DataError
from slowfast_ext.registry import import_submodules
from slowfast_ext.tasks import Task, build_task

import_submodules(__name__)

__all__ = [
    "DATASETS",
    "SPLITS",
    "Lists",
    "checked",
    "read_listed",
    "read_unchecked",
    "read_videos",
    "usable",
]


def read_listed(cfg: CfgNode, split: str) -> VideoSet:
    """All videos that the list of a split names, present or not, labels checked.

    `split` is "train" (TRAIN.DATASET) or "val" or "test" (TEST.DATASET). Raises DataError with file and
    line for what cannot be read, labels out of MODEL.NUM_CLASSES and videos with two labels.
    """
    video_set = read_unchecked(cfg, split)
    if not video_set.records:
        raise DataError(
            f"DATA.PATH_TO_DATA_DIR {cfg.DATA.PATH_TO_DATA_DIR}: the {split} list of {video_set.name} has no videos; "
            "each line is a path and a label"
        )
    return checked(video_set, build_task(cfg))


def read_unchecked(cfg: CfgNode, split: str) -> VideoSet:
    """As `read_listed`, with the labels and class names that the list has, whatever MODEL.NUM_CLASSES says."""
    name = cfg.TRAIN.DATASET if split == "train" else cfg.TEST.DATASET
    options = [options_of(cfg, kind) for kind in DATASETS.options(name)]
    return DATASETS.get(name)(_lists(cfg, build_task(cfg)), split, *options)


def read_videos(cfg: CfgNode, split: str) -> VideoSet:
    """The videos of a split that can be used: `read_listed` less those whose file is absent.

    `notes` tell "N of M listed files present". Raises DataError where more than DATA.ALLOW_MISSING
    are absent, and where frame folders hold no images of DATA.IMAGE_TEMPLATE.
    """
    data = cfg.DATA
    listed = read_listed(cfg, split)
    return usable(listed, build_task(cfg), data.ALLOW_MISSING, data.IMAGE_TEMPLATE, data.IMAGE_FPS)


def checked(video_set: VideoSet, task: Task) -> VideoSet:
    """The set as a reader gives it, if its labels are in range and no video has two. Raises DataError."""
    check_labels(video_set, task)
    return replace(video_set, notes=(*video_set.notes, *listed_twice(video_set)))


def usable(
    video_set: VideoSet, task: Task, allow_missing: float, image_template: str, image_fps: float
) -> VideoSet:
    """The videos whose file is there; up to a share of `allow_missing` may be absent. Raises DataError."""
    video_set = keep_present(video_set, allow_missing)
    folders = look_into_folders(video_set.records, image_template, image_fps)
    notes = (*video_set.notes, *folders, *missing_classes(video_set, task))
    return replace(video_set, records=PackedRecords(video_set.records), notes=notes)


def _lists(cfg: CfgNode, task: Task) -> Lists:
    options = options_of(cfg, ListOptions)
    return Lists(
        folder=options.path_to_data_dir,
        media_folder=options.path_prefix,
        template=options.label_path_template,
        separator=options.path_label_separator,
        class_file=options_of(cfg, ClassNameOptions).class_names,
        labels_per_video=task.labels_per_video,
    )
