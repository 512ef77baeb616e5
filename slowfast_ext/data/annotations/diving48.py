"""Diving-48, version 2: `Diving48_V2_{train,test}.json`, `Diving48_vocab.json`, videos `rgb/<vid_name>.mp4`.

The labels of the first version (`Diving48_train.json`) are noisy and differ: it is not read. The files
are single dives, so `start_frame` and `end_frame` span the whole of each and are not used.
"""

import os

from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import read_entries, read_json, to_int
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

VOCABULARY = "Diving48_vocab.json"
FOLDERS = ("rgb", "")


@DATASETS.register("diving48")
def read_diving48(lists: Lists, split: str) -> VideoSet:
    """A split of Diving-48 V2; val and test are the official test split."""
    split_file = "train" if split == "train" else "test"
    path = lists.find(split_file, "Diving48_V2_{}.json")
    media, root = Media(), lists.media_root
    records = []
    for location, entry in read_entries(path, ("vid_name", "label")):
        name = str(entry["vid_name"])
        paths = [os.path.join(root, folder, f"{name}.mp4") for folder in FOLDERS]
        label = to_int(str(entry["label"]), location, "a label")
        records.append(VideoRecord(media.locate(*paths), (label,), location, name=name))
    names = lists.class_names() or _vocabulary(lists)
    return VideoSet("diving48", split, records, (names,) if names else ())


def _vocabulary(lists: Lists) -> tuple[str, ...]:
    """Dives as their take-off, somersaults, twists and position: "Back, 15som, 05Twis, FREE"."""
    path = lists.file([VOCABULARY])
    dives = read_json(path) if path else []
    if not all(isinstance(dive, list) for dive in dives):
        raise DataError(f"{path}: expected a list of dives, each a list of attributes")
    return tuple(", ".join(dive) for dive in dives)
