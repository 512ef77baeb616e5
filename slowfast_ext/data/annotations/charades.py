"""Charades: `Charades_v1_{train,test}.csv` and `Charades_v1_classes.txt`; several actions a video.

A video's labels are all classes of its `actions` column (`c092 11.90 21.20;c147 0.00 12.60`), the measure
is mean average precision. The frame lists of PySlowFast (`{train,val}.csv`) are read too.
"""

import os

from slowfast_ext.data.annotations.frame_table import HEADER, read_frame_table
from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import first_line, read_lines, read_table
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

CLASSES = "Charades_v1_classes.txt"
FOLDERS = ("", "Charades_v1", "Charades_v1_480")


@DATASETS.register("charades")
def read_charades(lists: Lists, split: str) -> VideoSet:
    """A split of Charades; val and test are the official test split."""
    if lists.labels_per_video is not None:
        raise DataError("charades: a video has several labels; set DATA.MULTI_LABEL True")
    official = lists.search("train" if split == "train" else "test", "Charades_v1_{}.csv")
    path = official or lists.find(split, "{}.csv")
    reader = _frame_table if first_line(path).startswith(HEADER) else _official
    return VideoSet("charades", split, reader(lists, path), _class_names(lists))


def _official(lists: Lists, path: str) -> list[VideoRecord]:
    media, root = Media(), lists.media_root
    records = []
    for location, row in read_table(path, ("id", "actions")):
        paths = [os.path.join(root, folder, f"{row['id']}.mp4") for folder in FOLDERS]
        labels = {
            _label(action, location) for action in row["actions"].split(";") if action.strip()
        }
        found = media.find(*paths) or paths[0]
        records.append(VideoRecord(found, tuple(sorted(labels)), location, name=row["id"]))
    return records


def _label(action: str, location: str) -> int:
    name = action.split()[0]
    if not (name.startswith("c") and name[1:].isdecimal()):
        raise DataError(f"{location}: '{action}' is not an action like `c092 11.90 21.20`")
    return int(name[1:])


def _frame_table(lists: Lists, path: str) -> list[VideoRecord]:
    root = lists.media_root
    return [
        VideoRecord(
            os.path.join(root, video.folder),
            tuple(sorted(video.labels)),
            video.location,
            video.name,
            video.num_frames,
        )
        for video in read_frame_table(path)
    ]


def _class_names(lists: Lists) -> tuple[tuple[str, ...], ...]:
    path = lists.file([CLASSES])
    if path is None:
        return ()
    return (tuple(text.partition(" ")[2].strip() for _, text in read_lines(path)),)
