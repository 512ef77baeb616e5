"""ImageNet-1K, and any tree `train/<class>/<image>`, `val/<class>/<image>`: clips of one frame."""

import os

from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError

IMAGES = (".jpeg", ".jpg", ".png")
SYNSETS = "LOC_synset_mapping.txt"


@DATASETS.register("imagenet")
def read_imagenet(lists: Lists, split: str) -> VideoSet:
    """Images of a split; labels are the rank of the class folder in alphabetical order."""
    folder = os.path.join(lists.media_root, "train" if split == "train" else "val")
    wnids = _class_folders(folder)
    records = [
        VideoRecord(os.path.join(folder, wnid, image), (label,), f"{folder}/{wnid}", name=image)
        for label, wnid in enumerate(wnids)
        for image in sorted(store.names(os.path.join(folder, wnid)))
        if image.lower().endswith(IMAGES)
    ]
    return VideoSet("imagenet", split, records, (lists.class_names() or _names(lists, wnids),))


def _class_folders(folder: str) -> list[str]:
    try:
        names = sorted(store.names(folder))
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; set DATA.PATH_TO_DATA_DIR to the folder of train/ and val/"
        ) from error
    folders = [name for name in names if store.is_folder(os.path.join(folder, name))]
    if not folders:
        raise DataError(
            f"{folder}: no class folders; sort the images into <class>/ (the official val images come flat)"
        )
    return folders


def _names(lists: Lists, wnids: list[str]) -> tuple[str, ...]:
    """First synonym of each synset, where the mapping is there."""
    path = lists.file([SYNSETS])
    if path is None:
        return tuple(wnids)
    words = dict(text.split(" ", 1) for _, text in read_lines(path))
    return tuple(f"{wnid} {words.get(wnid, '').partition(',')[0]}".strip() for wnid in wnids)
