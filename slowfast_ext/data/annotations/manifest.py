"""Our own list, which can say all that a record holds: what `tools/data.py check` writes for any set.

A csv with the header below; labels are separated by spaces, one for each head or all that are present;
empty cells are facts that the record does not have. Class names lie beside it, one file a head.
"""

import csv
import os
from collections.abc import Iterable
from typing import Any

from slowfast_ext.data.annotations.lists import Lists, read_names
from slowfast_ext.data.annotations.text import Row, read_table, to_int, to_seconds
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet

SECONDS = ("start", "end")
FRAMES = ("num_frames", "start_frame", "end_frame")
HEADER = ("path", "name", "labels", *SECONDS, *FRAMES)


@DATASETS.register("manifest")
def read_manifest(lists: Lists, split: str) -> VideoSet:
    """The manifest of a split; relative paths start from DATA.PATH_PREFIX."""
    path = lists.find(split, "{}.csv")
    root = lists.media_root
    records = [_record(root, location, row) for location, row in read_table(path, HEADER)]
    names = tuple(read_names(file) for file in _name_files(os.path.dirname(path)))
    return VideoSet("manifest", split, records, names)


def write_manifest(
    video_set: VideoSet, records: Iterable[VideoRecord], folder: str, root: str = ""
) -> str:
    """Write `records` of a set with its class names to a folder; gives the manifest's path.

    Paths are absolute, or relative to `root`.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{video_set.split}.csv")
    with open(path, "w", encoding="utf-8", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(_row(record, root) for record in records)
    for head, names in enumerate(video_set.class_names):
        with open(os.path.join(folder, f"classes_{head}.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in names)
    return path


def _row(record: VideoRecord, root: str) -> list[object]:
    facts = [getattr(record, column) for column in (*SECONDS, *FRAMES)]
    path = os.path.relpath(record.path, root) if root else os.path.abspath(record.path)
    return [path, record.name, " ".join(map(str, record.labels)), *facts]


def _record(root: str, location: str, row: Row) -> VideoRecord:
    labels = tuple(to_int(label, location, "a label") for label in row["labels"].split())
    seconds: dict[str, Any] = {key: to_seconds(row[key], location) for key in SECONDS if row[key]}
    frames: dict[str, Any] = {
        key: to_int(row[key], location, "a number of frames") for key in FRAMES if row[key]
    }
    path = os.path.join(root, row["path"])
    return VideoRecord(path, labels, location, row["name"], **seconds, **frames)


def _name_files(folder: str) -> list[str]:
    names = (os.path.join(folder, f"classes_{head}.txt") for head in range(len(os.listdir(folder))))
    return [name for name in names if os.path.isfile(name)]
