"""Something-Something V1: official `id;label text` csv files, or `folder number_of_frames label` lists.

Media are frame folders `<id>/00001.jpg`. Labels are the rank of the label text in alphabetical order, or
the line of category.txt where there is one.
"""

import os

from yacs.config import CfgNode

from slowfast_ext.data.annotations.frames import frame_records
from slowfast_ext.data.annotations.lists import (
    class_names,
    file_in,
    find_list,
    media_root,
    read_names,
)
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import first_line, read_lines
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

LABELS = "something-something-v1-labels.csv"
FOLDERS = ("", "20bn-something-something-v1")


@DATASETS.register("ssv1")
def read_ssv1(cfg: CfgNode, split: str) -> VideoSet:
    """A split of Something-Something V1; test is the validation split, as the official one has no labels."""
    split_file = "train" if split == "train" else "val"
    path = find_list(cfg, split_file, "something-something-v1-{}.csv")
    names = _names(cfg)
    if ";" not in first_line(path):
        return VideoSet("ssv1", split, list(frame_records(cfg, path)), (names,) if names else ())
    if not names:
        raise DataError(f"{cfg.DATA.PATH_TO_DATA_DIR}: no {LABELS}, the class names; copy it there")
    return VideoSet("ssv1", split, _official(cfg, path, names), (names,))


def _names(cfg: CfgNode) -> tuple[str, ...]:
    official = file_in(cfg, [LABELS])
    return class_names(cfg) or (tuple(sorted(read_names(official))) if official else ())


def _official(cfg: CfgNode, path: str, names: tuple[str, ...]) -> list[VideoRecord]:
    label_of = {name: label for label, name in enumerate(names)}
    media, root = Media(), media_root(cfg)
    records = []
    for place, text in read_lines(path):
        video, _, label = (part.strip() for part in text.partition(";"))
        if label not in label_of:
            raise DataError(
                f"{place}: '{text[:120]}' is not `id;label text` with one of the {len(names)} class names"
            )
        folders = [os.path.join(root, folder, video) for folder in FOLDERS]
        found = media.locate(*folders)
        records.append(VideoRecord(found, (label_of[label],), place, name=video))
    return records
