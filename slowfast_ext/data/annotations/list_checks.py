"""What must hold of a list before training starts: labels in range, nothing twice, files there."""

import re
from collections.abc import Sequence
from dataclasses import replace

from slowfast_ext.data.annotations.media import Media, some
from slowfast_ext.data.decode.frames_reader import folder_template, scan_folder
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError
from slowfast_ext.tasks import Task

FOLDERS_LOOKED_INTO = 16


def check_labels(video_set: VideoSet, task: Task) -> None:
    """Every label is below the count of its head. Raises DataError with the first line that is not."""
    if not video_set.records:
        raise DataError(f"the {video_set.split} list of {video_set.name} has no videos")
    wanted = task.labels_per_video
    for record in video_set:
        if wanted not in (None, len(record.labels)):
            raise DataError(
                f"{record.location}: {len(record.labels)} labels where MODEL.NUM_CLASSES names {wanted} heads"
            )
    for labels, count in zip(_by_head(video_set, task), task.num_classes, strict=True):
        for location, label in labels:
            if label >= count:
                raise DataError(
                    _out_of_range(location, label, count, [value for _, value in labels])
                )
    for names, count in zip(video_set.class_names, task.num_classes, strict=False):
        if len(names) != count:
            raise DataError(
                f"{video_set.name} has {len(names)} class names ({names[0]}, ...) but"
                f" MODEL.NUM_CLASSES is {count}; set it to {len(names)}, or correct the names"
            )


def _by_head(video_set: VideoSet, task: Task) -> list[list[tuple[str, int]]]:
    """Labels that each head has to know, with the line that each stands in."""
    rows = [(record.location, task.by_head(record.labels)) for record in video_set]
    return [
        [(location, label) for location, heads in rows for label in heads[head]]
        for head in range(len(task.num_classes))
    ]


def _out_of_range(location: str, label: int, count: int, labels: Sequence[int]) -> str:
    low, high = min(labels), max(labels)
    from_one = low == 1 and high == count
    remedy = (
        "the labels seem to count from 1: subtract 1"
        if from_one
        else f"set MODEL.NUM_CLASSES to {high + 1} or more, or correct the list"
    )
    return (
        f"{location}: label {label} is out of range: MODEL.NUM_CLASSES {count} allows 0 to {count - 1};"
        f" the list has {low} to {high}; {remedy}"
    )


def listed_twice(video_set: VideoSet) -> tuple[str, ...]:
    """A note where pieces of video are listed twice.

    Published lists have repeats, which count in published results: they stay. Raises DataError where
    the two lines give different labels.
    """
    seen: dict[tuple[object, ...], VideoRecord] = {}
    repeats = 0
    for record in video_set:
        cut = (record.start, record.end, record.start_frame, record.end_frame)
        first = seen.setdefault((record.path, record.name, *cut), record)
        repeats += first is not record
        if first.labels != record.labels:
            raise DataError(
                f"{record.location}: {record.path} has label {_words(record)}, but {_words(first)} at"
                f" {first.location}; remove one line"
            )
    return (f"{video_set.split}: {repeats} videos are listed twice",) if repeats else ()


def _words(record: VideoRecord) -> str:
    return ", ".join(map(str, record.labels))


def keep_present(video_set: VideoSet, allow_missing: float) -> VideoSet:
    """The set without the records whose file is absent, and a note "N of M listed files present".

    A file that is there under another video suffix counts as present. Raises DataError naming some
    where more than a share of `allow_missing` is absent.
    """
    media = Media()
    found = [(record, media.find(record.path)) for record in video_set]
    present = [
        record if path == record.path else replace(record, path=path)
        for record, path in found
        if path
    ]
    missing = [record.shown for record, path in found if not path]
    note = f"{video_set.split}: {len(present)} of {len(found)} listed files present"
    if len(missing) > allow_missing * len(found) or not present:
        raise DataError(
            f"{note}; missing: {some(missing)}. If the folder is wrong set DATA.PATH_PREFIX; to go"
            f" without them set DATA.ALLOW_MISSING to {len(missing) / len(found):.3g} or more"
        )
    return replace(video_set, records=present, notes=(*video_set.notes, note))


def look_into_folders(
    records: Sequence[VideoRecord], image_template: str, image_fps: float
) -> tuple[str, ...]:
    """A few of the frame folders hold images of `image_template`, as many as the list claims.

    Raises DataError where images are absent. Counts belong to one extraction of a set (12 or 30 frames
    a second): others give a note, and clips are taken from the images that are there.
    """
    step = max(1, len(records) // FOLDERS_LOOKED_INTO)
    folders = [record for record in records[::step] if store.is_folder(record.path)]
    other = []
    for record in folders:
        template = folder_template(record.path, image_template)
        try:
            count = len(scan_folder(record.path, template, image_fps))
        except (DataError, LookupError, ValueError) as error:
            image = _an_image(record.path)
            raise DataError(
                f"{record.location}: {record.path}: {error}; it holds {image or 'no images'}."
                f" DATA.IMAGE_TEMPLATE is '{image_template}'{_suggested(image, record.path)}"
            ) from error
        if record.num_frames not in (None, count):
            other.append(f"{record.path}: {record.num_frames} listed, {count} there")
    if not other:
        return ()
    return (
        f"{len(other)} of {len(folders)} frame folders looked into have another length: {some(other)}",
    )


def _an_image(folder: str) -> str:
    names = sorted(store.names(folder))
    images = (name for name in names if name.lower().endswith((".jpg", ".jpeg", ".png")))
    return next(images, "")


def _suggested(image: str, folder: str) -> str:
    """The template that the name of an image follows: its last number is that of the frame."""
    number = re.search(r"\d+(?=\D*$)", image)
    if not number:
        return ""
    digits = number[0]
    form = f"{{:0{len(digits)}d}}" if digits.startswith("0") else "{:d}"
    name = folder.rstrip("/").rpartition("/")[2]
    before = image[: number.start()]
    if name and before.startswith(name):
        before = f"{{name}}{before.removeprefix(name)}"
    return f"; the name of this image asks for '{before}{form}{image[number.end() :]}'"


def missing_classes(video_set: VideoSet, task: Task) -> tuple[str, ...]:
    """A note for each head that has classes without a video."""
    notes = []
    for labels, count in zip(_by_head(video_set, task), task.num_classes, strict=True):
        absent = count - len({label for _, label in labels})
        if absent:
            notes.append(f"{video_set.split}: {absent} of {count} classes have no video")
    return tuple(notes)
