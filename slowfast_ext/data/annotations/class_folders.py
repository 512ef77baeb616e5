"""Trees of class folders, `<root>/<class>/<video>`, and how they are parted into splits.

Three forms, told apart by what is there: a `clips.tsv` in the root (columns path, class, split), folders
`train` and `val` (and perhaps `test`) that each hold class folders, or class folders alone, of which
every fifth video goes to validation.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slowfast_ext.data.annotations.lists import SPLIT_NAMES, Lists
from slowfast_ext.data.annotations.media import VIDEO_SUFFIXES, is_video
from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.data.records import DATASETS, SPLITS, VideoRecord, VideoSet
from slowfast_ext.data.storage.pack import INDEX_FILE
from slowfast_ext.errors import DataError
from slowfast_ext.safe_text import visible

TABLE = "clips.tsv"
COLUMNS = ("path", "class", "split")
VAL_PART = 5


@dataclass(frozen=True)
class TreeClip:
    """A video of a tree: its path from the root, class, split, and where that is written."""

    path: str
    class_name: str
    split: str
    location: str


@DATASETS.register("class_folders")
def read_class_folders(lists: Lists, split: str) -> VideoSet:
    """Videos of a split of the tree in DATA.PATH_TO_DATA_DIR; without a test split, val is the test."""
    root = lists.folder
    clips = read_tree(root)
    names = tree_classes(clips)
    label_of = {name: label for label, name in enumerate(names)}
    wanted = split if split != "test" or any(c.split == "test" for c in clips) else "val"
    records = [
        VideoRecord(os.path.join(root, c.path), (label_of[c.class_name],), c.location, name=c.path)
        for c in clips
        if c.split == wanted
    ]
    return VideoSet("class_folders", split, records, (names,))


def read_tree(root: str) -> list[TreeClip]:
    """All videos of a tree with their splits, by path. Raises DataError for a tree without any."""
    if not os.path.isdir(root):
        raise DataError(
            f"'{root}' is not a folder; set DATA.PATH_TO_DATA_DIR to the tree of videos"
        )
    if os.path.isfile(os.path.join(root, INDEX_FILE)):
        raise DataError(
            f"{root}: is a pack; its lists are read with TRAIN.DATASET and TEST.DATASET set to manifest"
        )
    table = os.path.join(root, TABLE)
    clips = list(_read_table(table) if os.path.isfile(table) else _read_folders(root))
    if not clips:
        raise DataError(
            f"{root}: no videos; expected {TABLE}, or <class>/<video>, or train/<class>/<video>"
            f" with one of the suffixes {' '.join(VIDEO_SUFFIXES)}"
        )
    return sorted(clips, key=lambda clip: clip.path)


def tree_classes(clips: Iterable[TreeClip]) -> tuple[str, ...]:
    """Class names of all splits in alphabetical order: the label is the position."""
    return tuple(sorted({clip.class_name for clip in clips}))


def write_lists(root: str, folder: str) -> dict[str, int]:
    """Write `train.csv`, `val.csv` (`test.csv`) of `path label` and `classes.txt` into `folder`.

    Paths start from `root`, which becomes DATA.PATH_PREFIX. Returns the number of videos in each file.
    """
    clips = read_tree(root)
    names = tree_classes(clips)
    by_file: dict[str, list[str]] = {}
    for clip in clips:
        line = f"{clip.path} {names.index(clip.class_name)}"
        by_file.setdefault(f"{clip.split}.csv", []).append(line)
    os.makedirs(folder, exist_ok=True)
    for name, lines in {**by_file, "classes.txt": list(names)}.items():
        broken = [line for line in lines if "\n" in line or "\r" in line]
        if broken:
            raise DataError(
                f"'{visible(broken[0])}': a name with a line break has no place in a list; rename it, or train on the "
                "tree itself (TRAIN.DATASET class_folders)"
            )
        text = "\n".join(lines) + "\n"
        Path(folder, name).write_text(text, encoding="utf-8", errors="surrogateescape")
    return {name: len(lines) for name, lines in sorted(by_file.items())}


def _read_table(path: str) -> Iterator[TreeClip]:
    lines = read_lines(path)
    _, header = next(lines, ("", ""))
    columns = header.split("\t")
    absent = [column for column in COLUMNS if column not in columns]
    if absent:
        raise DataError(
            f"{path}:1: no column {', '.join(absent)}; the tab-separated header needs {', '.join(COLUMNS)}"
        )
    for location, text in lines:
        fields = text.split("\t")
        if len(fields) != len(columns):
            raise DataError(
                f"{location}: {len(fields)} fields where the header names {len(columns)}"
            )
        row = dict(zip(columns, fields, strict=True))
        yield TreeClip(
            row["path"], visible(row["class"]), _split_named(row["split"], location), location
        )


def _split_named(word: str, location: str) -> str:
    for split in SPLITS:
        if word.strip().lower() in (split, SPLIT_NAMES[split][1]):
            return split
    raise DataError(f"{location}: the split '{word}' is not one of {', '.join(SPLITS)}")


def _read_folders(root: str) -> Iterator[TreeClip]:
    parts = {
        split: name
        for split in SPLITS
        for name in SPLIT_NAMES[split][:2]
        if os.path.isdir(os.path.join(root, name))
    }
    if "train" in parts:
        for split, name in parts.items():
            for path, class_name in _videos(root, name):
                yield TreeClip(path, class_name, split, os.path.join(root, path))
        return
    by_class = defaultdict(list)
    for path, class_name in _videos(root, ""):
        by_class[class_name].append(path)
    for class_name, paths in by_class.items():
        validation = _every_fifth(paths)
        for path in paths:
            split = "val" if path in validation else "train"
            yield TreeClip(path, class_name, split, os.path.join(root, path))


def _videos(root: str, part: str) -> Iterator[tuple[str, str]]:
    """Path from the root and class of every video in the class folders of `root/part`."""
    for video in sorted(Path(root, part).glob("*/*")):
        if is_video(video.name) and not video.name.startswith("."):
            yield str(video.relative_to(root)), visible(video.parent.name)


def _every_fifth(paths: list[str]) -> frozenset[str]:
    """A fifth of a class's videos, at least one of two: those whose names hash lowest, on any machine."""
    ranked = sorted(paths, key=lambda path: hashlib.sha1(os.fsencode(path)).hexdigest())
    count = max(round(len(paths) / VAL_PART), 1) if len(paths) > 1 else 0
    return frozenset(ranked[:count])
