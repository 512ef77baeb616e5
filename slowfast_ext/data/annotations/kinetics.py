"""Kinetics-400/600/700, and any set of video files in `{train,val,test}.csv` lists.

Two forms of list, told apart by the first line: `path<sep>label` (see path_list), and the official csv
`label,youtube_id,time_start,time_end,split` whose files are `<youtube_id>_<start:06d>_<end:06d>.mp4`.
"""

import os
from collections.abc import Iterator

from yacs.config import CfgNode

from slowfast_ext.data.annotations.lists import class_names, find_list, media_root, search_list
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.path_list import read_path_list
from slowfast_ext.data.annotations.text import Row, first_line, read_table, to_seconds
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

COLUMNS = ("youtube_id", "time_start", "time_end")


@DATASETS.register("kinetics")
def read_kinetics(cfg: CfgNode, split: str) -> VideoSet:
    """Path lists or official csv files of a split."""
    path = find_list(cfg, split, "{}.csv")
    if "youtube_id" not in first_line(path):
        names = class_names(cfg)
        records = read_path_list(cfg, path)
        heads = (names,) if names else ()
        return VideoSet("kinetics", split, records, heads, multi_label=cfg.DATA.MULTI_LABEL)
    names = class_names(cfg) or _names_in_lists(cfg, path)
    return VideoSet("kinetics", split, _official(cfg, path, split, names), (names,))


def _official(cfg: CfgNode, path: str, split: str, names: tuple[str, ...]) -> list[VideoRecord]:
    label_of = {name: label for label, name in enumerate(names)}
    media = Media()
    records = []
    for place, row in _rows(path):
        if row["label"] not in label_of:
            raise DataError(
                f"{place}: '{row['label']}' is none of the {len(names)} class names; correct the names"
                " (MODEL.CLASS_NAMES or classes.txt beside the list) or the row"
            )
        name = _clip_name(row, place)
        paths = _places(cfg, split, name, row["label"])
        found = media.find(*paths) or paths[0]
        records.append(VideoRecord(found, (label_of[row["label"]],), place, name=name))
    return records


def _rows(path: str) -> Iterator[tuple[str, Row]]:
    return read_table(path, ("label", *COLUMNS))


def _clip_name(row: Row, place: str) -> str:
    start, end = (int(to_seconds(row[column], place)) for column in COLUMNS[1:])
    return f"{row['youtube_id']}_{start:06d}_{end:06d}.mp4"


def _places(cfg: CfgNode, split: str, name: str, label: str) -> list[str]:
    """Where copies of the set keep a clip: flat, by class, by split, by split and class."""
    root = media_root(cfg)
    splits = ("", "train") if split == "train" else ("", "val", "test", "validation")
    classes = ("", label, label.replace(" ", "_"))
    return [os.path.join(root, part, kind, name) for part in splits for kind in classes]


def _names_in_lists(cfg: CfgNode, path: str) -> tuple[str, ...]:
    """The class names of the training list in alphabetical order, the customary one."""
    training = search_list(cfg, "train", "{}.csv") or path
    return tuple(sorted({row["label"] for _, row in _rows(training)}))
