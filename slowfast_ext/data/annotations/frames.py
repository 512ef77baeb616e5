"""Folders of images, a video each, in lists of `folder number_of_frames label`.

The form of UniFormer's and EMIM's Something-Something lists and of mmaction2's rawframes lists; frames
are DATA.IMAGE_TEMPLATE from 1. Files of video in such a list are read too (their count is not used).
"""

import os
from collections.abc import Iterator

from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.annotations.media import is_video
from slowfast_ext.data.annotations.text import read_lines, to_int
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError


@DATASETS.register("frames")
def read_frames(lists: Lists, split: str) -> VideoSet:
    """The frame list of a split: `{train,val,test}.txt` or `.csv`, or DATA.LABEL_PATH_TEMPLATE."""
    path = lists.find(split, "{}.txt", "{}.csv")
    names = lists.class_names()
    return VideoSet("frames", split, list(frame_records(lists, path)), (names,) if names else ())


def frame_records(lists: Lists, path: str) -> Iterator[VideoRecord]:
    """Records of a `folder number_of_frames label` list, a label for each head."""
    heads = lists.labels_per_video or 1
    root = lists.media_root
    for location, text in read_lines(path):
        fields = text.rsplit(None, 1 + heads)
        if len(fields) != 2 + heads:
            raise DataError(
                f"{location}: '{text[:120]}' is not `folder number_of_frames label` separated by spaces"
                f" ({len(fields)} fields); for lists of video files set TRAIN.DATASET to kinetics"
            )
        folder, count, *labels = fields
        yield VideoRecord(
            os.path.join(root, folder),
            tuple(to_int(label, location, "a label") for label in labels),
            location,
            name=folder,
            num_frames=None if is_video(folder) else _claimed(count, location),
        )


def _claimed(count: str, location: str) -> int:
    frames = to_int(count, location, "a number of frames")
    if frames == 0:
        raise DataError(f"{location}: claims 0 frames; remove the line")
    return frames
