"""EPIC-Kitchens-100: `EPIC_100_{train,validation}.csv` and the verb and noun class files.

A row is a piece of a long recording with a verb and a noun. Media are frame folders
`P01/rgb_frames/P01_01/frame_0000000001.jpg`, or videos `P01/videos/P01_01.MP4`. The folders hold every frame of their
recording, 50 or 60 a second; DATA.TARGET_FPS makes a clip last as long from either, and from a video.
"""

import os

from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.annotations.media import Media
from slowfast_ext.data.annotations.text import Row, read_table, to_int, to_seconds
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import DataError

LIST = "EPIC_100_{}.csv"
TIMES = ("start_timestamp", "stop_timestamp")
FRAMES = ("start_frame", "stop_frame")
COLUMNS = (
    "narration_id",
    "participant_id",
    "video_id",
    *TIMES,
    *FRAMES,
    "verb_class",
    "noun_class",
)


@DATASETS.register("epic")
def read_epic(lists: Lists, split: str) -> VideoSet:
    """A split with labels (verb, noun); test is the validation split, as the official one has no labels."""
    split_file = "train" if split == "train" else "val"
    pickle = lists.file(["EPIC_100_train.pkl", "EPIC_100_validation.pkl"])
    if pickle and not lists.file(["EPIC_100_train.csv", "EPIC_100_validation.csv"]):
        raise DataError(
            f"{pickle}: pickles are not read, as opening one runs whatever program is in it;"
            " put the EPIC_100_*.csv files of the official annotations in the folder instead"
        )
    path = lists.find(split_file, LIST)
    media = Media()
    records = [_record(lists, media, location, row) for location, row in read_table(path, COLUMNS)]
    return VideoSet("epic", split, records, _class_names(lists))


def _record(lists: Lists, media: Media, location: str, row: Row) -> VideoRecord:
    labels = tuple(to_int(row[f"{word}_class"], location, "a label") for word in ("verb", "noun"))
    folder = os.path.join(lists.media_root, row["participant_id"])
    frames = os.path.join(folder, "rgb_frames", row["video_id"])
    if media.has(frames):
        first, last = (to_int(row[column], location, "a frame number") for column in FRAMES)
        return VideoRecord(
            frames,
            labels,
            location,
            name=row["narration_id"],
            start_frame=max(first - 1, 0),
            end_frame=last - 1,
            fps=frame_rate(row["video_id"]),
        )
    video = f"{row['video_id']}.MP4"
    paths = (os.path.join(folder, "videos", video), os.path.join(lists.media_root, video))
    start, end = (to_seconds(row[column], location) for column in TIMES)
    found = media.find(*paths) or paths[0]
    return VideoRecord(found, labels, location, name=row["narration_id"], start=start, end=end)


def frame_rate(video_id: str) -> float:
    """Frames a second of a recording: 50 in the extension of 2020, whose numbers have three digits (P01_101), else 60."""
    return 50.0 if len(video_id.split("_")[1]) == 3 else 60.0


def _class_names(lists: Lists) -> tuple[tuple[str, ...], ...]:
    found = (lists.file([f"EPIC_100_{word}_classes.csv"]) for word in ("verb", "noun"))
    names = [tuple(row["key"] for _, row in read_table(p, ("id", "key"))) for p in found if p]
    return tuple(names) if len(names) == 2 else ()
