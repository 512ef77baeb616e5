"""UCF101: `trainlist01.txt`, `testlist01.txt`, `classInd.txt` (labels from 1); videos `<class>/<name>.avi`."""

import os

from slowfast_ext.data.annotations.lists import FoldOptions, Lists
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

LIST_FOLDERS = ("", "ucfTrainTestlist/")
VIDEO_FOLDERS = ("", "UCF-101")


@DATASETS.register("ucf101", FoldOptions)
def read_ucf101(lists: Lists, split: str, fold: FoldOptions) -> VideoSet:
    """The official split DATA.FOLD; val and test are its test list. The class is the video's folder."""
    split_file = "train" if split == "train" else "test"
    templates = [f"{folder}{{}}list{fold.fold:02d}.txt" for folder in LIST_FOLDERS]
    path = lists.find(split_file, *templates)
    names = _class_names(lists)
    label_of = {name: label for label, name in enumerate(names)}
    media, root = Media(), lists.media_root
    records = []
    for location, text in read_lines(path):
        name = text.split()[0]
        category = os.path.dirname(name)
        if category not in label_of:
            raise DataError(
                f"{location}: '{text}' is not `class/video.avi` with one of the {len(names)} classes"
            )
        paths = [os.path.join(root, folder, name) for folder in VIDEO_FOLDERS]
        found = media.find(*paths) or paths[0]
        records.append(VideoRecord(found, (label_of[category],), location, name=name))
    return VideoSet("ucf101", split, records, (names,))


def _class_names(lists: Lists) -> tuple[str, ...]:
    path = lists.file([f"{folder}classInd.txt" for folder in LIST_FOLDERS])
    if path is None:
        raise DataError(f"{lists.folder}: no classInd.txt, the class names of UCF101")
    return tuple(text.split()[-1] for _, text in read_lines(path))
