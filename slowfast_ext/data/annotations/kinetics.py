"""Kinetics-400/600/700, and any set of video files in `{train,val,test}.csv` lists.

Two forms of list, told apart by the first line: `path<sep>label` (see path_list), and the official csv
`label,youtube_id,time_start,time_end,split` whose files are `<youtube_id>_<start:06d>_<end:06d>.mp4`.
"""

import os
from collections.abc import Iterator

from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.path_list import read_path_list
from slowfast_ext.data.annotations.text import Row, first_line, read_table, to_seconds
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

COLUMNS = ("youtube_id", "time_start", "time_end")


@DATASETS.register("kinetics")
def read_kinetics(lists: Lists, split: str) -> VideoSet:
    """Path lists or official csv files of a split."""
    path = lists.find(split, "{}.csv")
    if "youtube_id" not in first_line(path):
        names = lists.class_names()
        records = read_path_list(lists, path)
        heads = (names,) if names else ()
        return VideoSet("kinetics", split, records, heads)
    names = lists.class_names() or _names_in_lists(lists, path)
    return VideoSet("kinetics", split, _official(lists, path, split, names), (names,))


def _official(lists: Lists, path: str, split: str, names: tuple[str, ...]) -> list[VideoRecord]:
    label_of = {name: label for label, name in enumerate(names)}
    media = Media()
    records = []
    for location, row in _rows(path):
        if row["label"] not in label_of:
            raise DataError(
                f"{location}: '{row['label']}' is none of the {len(names)} class names; correct the names"
                " (MODEL.CLASS_NAMES or classes.txt beside the list) or the row"
            )
        name = _clip_name(row, location)
        paths = _candidates(lists, split, name, row["label"])
        found = media.find(*paths) or paths[0]
        records.append(VideoRecord(found, (label_of[row["label"]],), location, name=name))
    return records


def _rows(path: str) -> Iterator[tuple[str, Row]]:
    return read_table(path, ("label", *COLUMNS))


def _clip_name(row: Row, location: str) -> str:
    start, end = (int(to_seconds(row[column], location)) for column in COLUMNS[1:])
    return f"{row['youtube_id']}_{start:06d}_{end:06d}.mp4"


def _candidates(lists: Lists, split: str, name: str, label: str) -> list[str]:
    """Where copies of the set keep a clip: flat, by class, by split, by split and class."""
    root = lists.media_root
    splits = ("", "train") if split == "train" else ("", "val", "test", "validation")
    classes = ("", label, label.replace(" ", "_"))
    return [os.path.join(root, part, kind, name) for part in splits for kind in classes]


def _names_in_lists(lists: Lists, path: str) -> tuple[str, ...]:
    """The class names of the training list in alphabetical order, the customary one."""
    training = lists.search("train", "{}.csv") or path
    return tuple(sorted({row["label"] for _, row in _rows(training)}))
