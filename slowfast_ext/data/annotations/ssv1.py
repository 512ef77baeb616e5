"""Something-Something V1: official `id;label text` csv files, or `folder number_of_frames label` lists.

Media are frame folders `<id>/00001.jpg`. Labels are the rank of the label text in alphabetical order, or
the line of category.txt where there is one.
"""

import os

from slowfast_ext.data.annotations.frames import frame_records
from slowfast_ext.data.annotations.lists import Lists, read_names
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import first_line, read_lines
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

LABELS = "something-something-v1-labels.csv"
FOLDERS = ("", "20bn-something-something-v1")


@DATASETS.register("ssv1")
def read_ssv1(lists: Lists, split: str) -> VideoSet:
    """A split of Something-Something V1; test is the validation split, as the official one has no labels."""
    split_file = "train" if split == "train" else "val"
    path = lists.find(split_file, "something-something-v1-{}.csv")
    names = _names(lists)
    if ";" not in first_line(path):
        return VideoSet("ssv1", split, list(frame_records(lists, path)), (names,) if names else ())
    if not names:
        raise DataError(f"{lists.folder}: no {LABELS}, the class names; copy it there")
    return VideoSet("ssv1", split, _official(lists, path, names), (names,))


def _names(lists: Lists) -> tuple[str, ...]:
    official = lists.file([LABELS])
    return lists.class_names() or (tuple(sorted(read_names(official))) if official else ())


def _official(lists: Lists, path: str, names: tuple[str, ...]) -> list[VideoRecord]:
    label_of = {name: label for label, name in enumerate(names)}
    media, root = Media(), lists.media_root
    records = []
    for location, text in read_lines(path):
        video, _, label = (part.strip() for part in text.partition(";"))
        if label not in label_of:
            raise DataError(
                f"{location}: '{text[:120]}' is not `id;label text` with one of the {len(names)} class names"
            )
        folders = [os.path.join(root, folder, video) for folder in FOLDERS]
        found = media.locate(*folders)
        records.append(VideoRecord(found, (label_of[label],), location, name=video))
    return records
