"""Lists of `path<sep>label`, the common form of PySlowFast, UniFormer, TimeSformer and mmaction2."""

import os

from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.annotations.text import read_lines
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import DataError

SEPARATORS = {" ": "a space", ",": "a comma", "\t": "a tab", ";": "a semicolon"}


def read_path_list(lists: Lists, path: str) -> list[VideoRecord]:
    """Records of a list file; paths start from DATA.PATH_PREFIX.

    A line has one label, one for each head of MODEL.NUM_CLASSES, or with DATA.MULTI_LABEL any number.
    Raises DataError with file and line, the text, and what was expected.
    """
    heads = lists.labels_per_video
    separator = lists.separator
    root = lists.media_root
    records = []
    for location, text in read_lines(path):
        fields = split_line(text, separator, heads)
        if fields is None:
            raise DataError(_complaint(location, text, separator, heads))
        media, labels = fields
        if heads == 1 and _is_frame_list(media):
            raise DataError(
                f"{location}: '{text}' looks like `folder number_of_frames label`; for frame folders set"
                " TRAIN.DATASET and TEST.DATASET to frames"
            )
        records.append(VideoRecord(os.path.join(root, media), labels, location, name=media))
    return records


def split_line(text: str, separator: str, heads: int | None) -> tuple[str, tuple[int, ...]] | None:
    """Path and labels of a line, labels last; None where it has not that form.

    `heads` None: as many labels as there are. Paths may hold the separator.
    """
    fields = text.strip().rsplit(separator, -1 if heads is None else heads)
    fields = [field.strip().strip('"') for field in fields if field.strip()]
    first_label = len(fields) - heads if heads is not None else _end_of_path(fields)
    labels = fields[first_label:]
    if first_label < 1 or not labels or not all(label.isdecimal() for label in labels):
        return None
    return separator.join(fields[:first_label]), tuple(int(label) for label in labels)


def _end_of_path(fields: list[str]) -> int:
    end = len(fields)
    while end > 1 and fields[end - 1].isdecimal():
        end -= 1
    return end


def _is_frame_list(media: str) -> bool:
    folder, _, count = media.rpartition(" ")
    return bool(folder) and count.isdecimal() and not os.path.splitext(media)[1]


def _complaint(location: str, text: str, separator: str, heads: int | None) -> str:
    labels = "label" if heads == 1 else "labels"
    word = SEPARATORS.get(separator, f"'{separator}'")
    fitting = [other for other in SEPARATORS if split_line(text, other, heads)]
    remedy = (
        f"the line would read with {SEPARATORS[fitting[0]]}: set DATA.PATH_LABEL_SEPARATOR to {fitting[0]!r}"
        if fitting
        else f"write each line as `path{separator}label` with labels from 0, without a header"
    )
    return f"{location}: '{text[:120]}' is not a path, {word} and {labels}; {remedy}"
