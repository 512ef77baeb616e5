"""Something-Something V2: the official json files with webm videos, or frame lists.

Official: `something-something-v2-{train,validation}.json` and `-labels.json` (the later release calls them
`labels/train.json` ...). The frame table of PySlowFast and Motionformer (`{train,val}.csv`) takes its
labels from the same json files; `folder number_of_frames label` lists need DATA.LABEL_PATH_TEMPLATE.
"""

import os

from slowfast_ext.data.annotations.frame_table import HEADER, read_frame_table
from slowfast_ext.data.annotations.frames import frame_records
from slowfast_ext.data.annotations.lists import SPLIT_NAMES, Lists
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import first_line, read_entries, read_json, to_int
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

OFFICIAL = ("something-something-v2-{}.json", "labels/{}.json", "{}.json")
LABELS = tuple(template.replace("{}", "labels") for template in OFFICIAL)
FOLDERS = ("", "20bn-something-something-v2")


@DATASETS.register("ssv2")
def read_ssv2(lists: Lists, split: str) -> VideoSet:
    """A split of Something-Something V2; test is the validation split, as the official one has no labels."""
    split_file = "train" if split == "train" else "val"
    path = lists.find(split_file, "{}.csv", *OFFICIAL)
    if path.endswith(".json"):
        names = template_names(lists)
        return VideoSet("ssv2", split, _official(lists, path, names), (names,))
    if first_line(path).startswith(HEADER):
        names = template_names(lists)
        return VideoSet("ssv2", split, _frame_table(lists, path, split_file, names), (names,))
    names = lists.class_names() or (template_names(lists) if lists.file(LABELS) else ())
    return VideoSet("ssv2", split, list(frame_records(lists, path)), (names,) if names else ())


def template_names(lists: Lists) -> tuple[str, ...]:
    """Class names in the order of the labels json, `{"Holding something": "57", ...}`."""
    path = lists.file(LABELS)
    if path is None:
        raise DataError(
            f"{lists.folder}: no {LABELS[0]}, which maps the templates to labels; copy it there"
        )
    labels = {name: to_int(str(label), path, "a label") for name, label in read_json(path).items()}
    names = sorted(labels, key=labels.__getitem__)
    if sorted(labels.values()) != list(range(len(names))):
        raise DataError(f"{path}: the labels are not 0 to {len(names) - 1}, each once")
    return tuple(names)


def _entries(path: str, names: tuple[str, ...]) -> dict[str, tuple[int, str]]:
    """Video id -> label and location."""
    label_of = {name: label for label, name in enumerate(names)}
    labels = {}
    for location, entry in read_entries(path, ("id", "template")):
        template = entry["template"].replace("[", "").replace("]", "")
        if template not in label_of:
            raise DataError(
                f"{location}: the template '{template}' is none of the {len(names)} in the labels json;"
                " are the files of one release?"
            )
        labels[str(entry["id"])] = (label_of[template], location)
    return labels


def _official(lists: Lists, path: str, names: tuple[str, ...]) -> list[VideoRecord]:
    media, root = Media(), lists.media_root
    records = []
    for video, (label, location) in _entries(path, names).items():
        paths = [os.path.join(root, folder, f"{video}.webm") for folder in FOLDERS]
        records.append(VideoRecord(media.locate(*paths), (label,), location, name=video))
    return records


def _frame_table(lists: Lists, path: str, split: str, names: tuple[str, ...]) -> list[VideoRecord]:
    files = [t.replace("{}", word) for t in OFFICIAL for word in SPLIT_NAMES[split]]
    official = lists.file(files)
    if official is None:
        raise DataError(
            f"{path}: a frame list has no labels; copy {' or '.join(files[:2])} beside it"
        )
    labels = _entries(official, names)
    root = lists.media_root
    records = []
    for video in read_frame_table(path):
        if video.name not in labels:
            raise DataError(f"{video.location}: video {video.name} is not in {official}")
        folder = os.path.join(root, video.folder)
        label = (labels[video.name][0],)
        records.append(VideoRecord(folder, label, video.location, video.name, video.num_frames))
    return records
