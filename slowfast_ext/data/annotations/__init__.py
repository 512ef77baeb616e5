"""Annotation readers, one file a data set, and the one door to them: `read_videos`."""

from dataclasses import replace

from yacs.config import CfgNode

from slowfast_ext.data.annotations.checks import (
    check_labels,
    keep_present,
    listed_twice,
    look_into_folders,
    missing_classes,
)
from slowfast_ext.data.annotations.packed import PackedRecords
from slowfast_ext.data.records import DATASETS, SPLITS, VideoSet
from slowfast_ext.registry import import_submodules
from slowfast_ext.tasks.base import class_counts

import_submodules(__name__)

__all__ = ["DATASETS", "SPLITS", "read_listed", "read_videos"]


def read_listed(cfg: CfgNode, split: str) -> VideoSet:
    """All videos that the list of a split names, present or not, labels checked.

    `split` is "train" (TRAIN.DATASET) or "val" or "test" (TEST.DATASET). Raises DataError with file and
    line for what cannot be read, labels out of MODEL.NUM_CLASSES and videos with two labels.
    """
    name = cfg.TRAIN.DATASET if split == "train" else cfg.TEST.DATASET
    video_set = DATASETS.get(name)(cfg, split)
    check_labels(video_set, class_counts(cfg))
    return replace(video_set, notes=(*video_set.notes, *listed_twice(video_set)))


def read_videos(cfg: CfgNode, split: str) -> VideoSet:
    """The videos of a split that can be used: `read_listed` less those whose file is absent.

    `notes` tell "N of M listed files present". Raises DataError where more than DATA.ALLOW_MISSING
    are absent, and where frame folders hold no images of DATA.IMAGE_TEMPLATE.
    """
    video_set = keep_present(read_listed(cfg, split), cfg.DATA.ALLOW_MISSING)
    folders = look_into_folders(video_set.records, cfg)
    notes = (*video_set.notes, *folders, *missing_classes(video_set, class_counts(cfg)))
    return replace(video_set, records=PackedRecords(video_set.records), notes=notes)
