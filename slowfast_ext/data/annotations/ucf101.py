"""UCF101: `trainlist01.txt`, `testlist01.txt`, `classInd.txt` (labels from 1); videos `<class>/<name>.avi`."""

import os

from yacs.config import CfgNode

from slowfast_ext.data.annotations.lists import file_in, find_list, media_root
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

LIST_FOLDERS = ("", "ucfTrainTestlist/")
VIDEO_FOLDERS = ("", "UCF-101")


@DATASETS.register("ucf101")
def read_ucf101(cfg: CfgNode, split: str) -> VideoSet:
    """The official split DATA.FOLD; val and test are its test list. The class is the video's folder."""
    split_file = "train" if split == "train" else "test"
    templates = [f"{folder}{{}}list{cfg.DATA.FOLD:02d}.txt" for folder in LIST_FOLDERS]
    path = find_list(cfg, split_file, *templates)
    names = _class_names(cfg)
    label_of = {name: label for label, name in enumerate(names)}
    media, root = Media(), media_root(cfg)
    records = []
    for place, text in read_lines(path):
        name = text.split()[0]
        category = os.path.dirname(name)
        if category not in label_of:
            raise DataError(
                f"{place}: '{text}' is not `class/video.avi` with one of the {len(names)} classes"
            )
        paths = [os.path.join(root, folder, name) for folder in VIDEO_FOLDERS]
        found = media.find(*paths) or paths[0]
        records.append(VideoRecord(found, (label_of[category],), place, name=name))
    return VideoSet("ucf101", split, records, (names,))


def _class_names(cfg: CfgNode) -> tuple[str, ...]:
    path = file_in(cfg, [f"{folder}classInd.txt" for folder in LIST_FOLDERS])
    if path is None:
        raise DataError(f"{cfg.DATA.PATH_TO_DATA_DIR}: no classInd.txt, the class names of UCF101")
    return tuple(text.split()[-1] for _, text in read_lines(path))
