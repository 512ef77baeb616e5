"""HMDB51: a list a class, `<class>_test_split1.txt` with lines `<name>.avi 1` (1 train, 2 test, 0 unused)."""

import os

from slowfast_ext.data.annotations.lists import FoldOptions, Lists
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

LIST_FOLDERS = ("", "testTrainMulti_7030_splits")
USES = {"1": "train", "2": "test", "0": "unused"}


@DATASETS.register("hmdb51", FoldOptions)
def read_hmdb51(lists: Lists, split: str, fold: FoldOptions) -> VideoSet:
    """The official split DATA.FOLD; val and test are its test list. Labels in alphabetical order."""
    wanted = "train" if split == "train" else "test"
    folder, ending, names = _files(lists, fold.fold)
    media, root = Media(), lists.media_root
    records = []
    for label, category in enumerate(names):
        for location, text in read_lines(os.path.join(folder, category + ending)):
            name, _, use = text.strip().rpartition(" ")
            if USES.get(use) is None:
                raise DataError(f"{location}: '{text}' is not `video.avi 1`, with 0, 1 or 2")
            if USES[use] == wanted:
                path = os.path.join(root, category, name.strip())
                records.append(VideoRecord(media.find(path) or path, (label,), location, name=name))
    return VideoSet("hmdb51", split, records, (names,))


def _files(lists: Lists, fold: int) -> tuple[str, str, tuple[str, ...]]:
    """Folder of the lists, the end of their names, and the classes."""
    ending = f"_test_split{fold}.txt"
    for part in LIST_FOLDERS:
        folder = os.path.join(lists.folder, part)
        files = [name for name in Media().names(folder) if name.endswith(ending)]
        if files:
            return folder, ending, tuple(sorted(name.removesuffix(ending) for name in files))
    raise DataError(
        f"{lists.folder}: no lists *{ending}; set DATA.PATH_TO_DATA_DIR to the folder"
        " of the official splits, and DATA.PATH_PREFIX to that of the videos"
    )
