"""FineGym's element sets Gym99 and Gym288: `gym99_{train,val}.txt` and `gym99_categories.txt`.

A line is `subaction_id label`, or `subaction_id number_of_frames label` as mmaction2 writes it; media are
one clip each, `<subaction_id>.mp4`, or frame folders. The measure of the set is mean class accuracy.
"""

import os
import re

from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.annotations.media import Media, is_video
from slowfast_ext.data.annotations.text import read_lines, to_int
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

LISTS = ("{set}_{}_element_v1.1.txt", "{set}_{}_element.txt", "{set}_{}.txt")
CATEGORY = re.compile(r"\s*Clabel:\s*(\d+)\s*;\s*set:\s*\d+\s*;\s*Glabel:\s*\d+\s*;\s*(.+)")


@DATASETS.register("gym99")
def read_gym99(lists: Lists, split: str) -> VideoSet:
    """Gym99: 99 elements."""
    return _read_finegym(lists, split, "gym99")


@DATASETS.register("gym288")
def read_gym288(lists: Lists, split: str) -> VideoSet:
    """Gym288: 288 elements, in a long tail."""
    return _read_finegym(lists, split, "gym288")


def _read_finegym(lists: Lists, split: str, name: str) -> VideoSet:
    path = lists.find(split, *(template.replace("{set}", name) for template in LISTS))
    media = Media()
    records = [_record(lists, media, location, text) for location, text in read_lines(path)]
    categories = lists.file([f"{name}_categories.txt"])
    names = lists.class_names() or (_categories(categories) if categories else ())
    return VideoSet(name, split, records, (names,) if names else ())


def _record(lists: Lists, media: Media, location: str, text: str) -> VideoRecord:
    fields = text.split()
    if len(fields) not in (2, 3):
        raise DataError(
            f"{location}: '{text[:120]}' is neither `subaction_id label` nor"
            " `subaction_id number_of_frames label`"
        )
    found = media.locate(os.path.join(lists.media_root, f"{fields[0]}.mp4"))
    has_count = len(fields) == 3 and not is_video(found)
    num_frames = to_int(fields[1], location, "a number of frames") if has_count else None
    label = to_int(fields[-1], location, "a label")
    return VideoRecord(found, (label,), location, name=fields[0], num_frames=num_frames)


def _categories(path: str) -> tuple[str, ...]:
    names: list[str] = []
    for location, text in read_lines(path):
        match = CATEGORY.fullmatch(text)
        if match is None or int(match[1]) != len(names):
            raise DataError(
                f"{location}: '{text[:120]}' is not `Clabel: {len(names)}; set: 1; Glabel: 1; name`"
            )
        names.append(match[2].strip())
    return tuple(names)
