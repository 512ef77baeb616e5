"""What must hold of a list before training starts: labels in range, nothing twice, files there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from yacs.config import CfgNode

from slowfast_ext.data.annotations.media import Media, count_frames, some
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.errors import DataError

FOLDERS_LOOKED_INTO = 16


def class_counts(cfg: CfgNode) -> tuple[int, ...]:
    """Classes of each head."""
    counts = cfg.MODEL.NUM_CLASSES
    return (counts,) if isinstance(counts, int) else tuple(counts)


def check_labels(video_set: VideoSet, counts: Sequence[int]) -> None:
    """Every label is below the count of its head. Raises DataError with the first line that is not."""
    if not video_set.records:
        raise DataError(f"the {video_set.split} list of {video_set.name} has no videos")
    for head, labels in enumerate(_by_head(video_set, counts)):
        for place, label in labels:
            if label >= counts[head]:
                raise DataError(
                    _out_of_range(place, label, counts[head], [value for _, value in labels])
                )
    for head, names in enumerate(video_set.class_names):
        if len(names) != counts[head]:
            raise DataError(
                f"{video_set.name} has {len(names)} class names ({names[0]}, ...) but"
                f" MODEL.NUM_CLASSES is {counts[head]}; set it to {len(names)}, or correct the names"
            )


def _by_head(video_set: VideoSet, counts: Sequence[int]) -> list[list[tuple[str, int]]]:
    if video_set.multi_label:
        return [[(record.place, label) for record in video_set for label in record.labels]]
    for record in video_set:
        if len(record.labels) != len(counts):
            raise DataError(
                f"{record.place}: {len(record.labels)} labels where MODEL.NUM_CLASSES names"
                f" {len(counts)} heads"
            )
    return [[(r.place, r.labels[head]) for r in video_set] for head in range(len(counts))]


def _out_of_range(place: str, label: int, count: int, labels: Sequence[int]) -> str:
    low, high = min(labels), max(labels)
    from_one = low == 1 and high == count
    remedy = (
        "the labels seem to count from 1: subtract 1"
        if from_one
        else f"set MODEL.NUM_CLASSES to {high + 1} or more, or correct the list"
    )
    return (
        f"{place}: label {label} is out of range: MODEL.NUM_CLASSES {count} allows 0 to {count - 1};"
        f" the list has {low} to {high}; {remedy}"
    )


def listed_twice(video_set: VideoSet) -> tuple[str, ...]:
    """A note where pieces of video are listed twice.

    Published lists have repeats, which count in published figures: they stay. Raises DataError where
    the two lines give different labels.
    """
    seen: dict[tuple, VideoRecord] = {}
    repeats = 0
    for record in video_set:
        cut = (record.start, record.end, record.start_frame, record.end_frame)
        first = seen.setdefault((record.path, record.name, *cut), record)
        repeats += first is not record
        if first.labels != record.labels:
            raise DataError(
                f"{record.place}: {record.path} has label {_words(record)}, but {_words(first)} at"
                f" {first.place}; remove one line"
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
    found = [(record, _present_path(media, record)) for record in video_set]
    present = [
        record if path == record.path else replace(record, path=path)
        for record, path in found
        if path
    ]
    missing = [f"{record.path} ({record.place})" for record, path in found if not path]
    note = f"{video_set.split}: {len(present)} of {len(found)} listed files present"
    if len(missing) > allow_missing * len(found) or not present:
        raise DataError(
            f"{note}; missing: {some(missing)}. If the folder is wrong set DATA.PATH_PREFIX; to go"
            f" without them set DATA.ALLOW_MISSING to {len(missing) / len(found):.3g} or more"
        )
    return replace(video_set, records=present, notes=(*video_set.notes, note))


def _present_path(media: Media, record: VideoRecord) -> str | None:
    if record.num_frames is None:
        return media.find(record.path)
    return record.path if media.has(record.path) else None


def check_frame_folders(records: Sequence[VideoRecord], template: str) -> None:
    """A few of the frame folders hold what the list claims. Raises DataError with both counts.

    Frame counts belong to one extraction of the set; with those of another, clips would be cut short
    or frames asked for that do not exist.
    """
    folders = [record for record in records if record.num_frames is not None]
    for record in folders[:: max(1, len(folders) // FOLDERS_LOOKED_INTO)]:
        count, example = count_frames(record.path, template)
        if count == 0:
            raise DataError(
                f"{record.place}: {record.path} has no frame 1 of DATA.IMAGE_TEMPLATE '{template}';"
                f" it has {example or 'no images'}. Set DATA.IMAGE_TEMPLATE; frames count from 1"
            )
        if count < record.num_frames:
            raise DataError(
                f"{record.place}: claims {record.num_frames} frames, {record.path} has {count};"
                " the list belongs to another extraction (another frame rate), or this one is cut"
            )


def missing_classes(video_set: VideoSet, counts: Sequence[int]) -> tuple[str, ...]:
    """A note for each head that has classes without a video."""
    notes = []
    for head, labels in enumerate(_by_head(video_set, counts)):
        absent = counts[head] - len(Counter(label for _, label in labels))
        if absent:
            notes.append(f"{video_set.split}: {absent} of {counts[head]} classes have no video")
    return tuple(notes)
