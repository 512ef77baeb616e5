"""Folders of images, a video each, in lists of `folder number_of_frames label`.

The form of UniFormer's and EMIM's Something-Something lists and of mmaction2's rawframes lists; frames
are DATA.IMAGE_TEMPLATE from 1. Files of video in such a list are read too (their count is not used).
"""

import os
from collections.abc import Iterator

from yacs.config import CfgNode

from slowfast_ext.data.annotations.lists import class_names, find_list, media_root
from slowfast_ext.data.annotations.media import is_video
from slowfast_ext.data.annotations.text import read_lines, to_int
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError
from slowfast_ext.tasks.base import class_counts


@DATASETS.register("frames")
def read_frames(cfg: CfgNode, split: str) -> VideoSet:
    """The frame list of a split: `{train,val,test}.txt` or `.csv`, or DATA.LABEL_PATH_TEMPLATE."""
    path = find_list(cfg, split, "{}.txt", "{}.csv")
    names = class_names(cfg)
    return VideoSet("frames", split, list(frame_records(cfg, path)), (names,) if names else ())


def frame_records(cfg: CfgNode, path: str) -> Iterator[VideoRecord]:
    """Records of a `folder number_of_frames label` list, a label for each head."""
    heads = len(class_counts(cfg))
    root = media_root(cfg)
    for place, text in read_lines(path):
        fields = text.rsplit(None, 1 + heads)
        if len(fields) != 2 + heads:
            raise DataError(
                f"{place}: '{text[:120]}' is not `folder number_of_frames label` separated by spaces"
                f" ({len(fields)} fields); for lists of video files set TRAIN.DATASET to kinetics"
            )
        folder, count, *labels = fields
        yield VideoRecord(
            os.path.join(root, folder),
            tuple(to_int(label, place, "a label") for label in labels),
            place,
            name=folder,
            num_frames=None if is_video(folder) else _claimed(count, place),
        )


def _claimed(count: str, place: str) -> int:
    frames = to_int(count, place, "a number of frames")
    if frames == 0:
        raise DataError(f"{place}: claims 0 frames; remove the line")
    return frames
