"""The frame lists of PySlowFast and Motionformer: a line a frame, millions of them.

Header `original_vido_id video_id frame_id path labels`; a row
`78687 0 0 78687/78687_000001.jpg ""`, labels a comma list in quotes, often empty.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from slowfast_ext.data.annotations.text import read_lines, to_int
from slowfast_ext.errors import DataError

HEADER = "original_vido_id"


@dataclass
class FrameFolder:
    """The frames of one video, as many rows as `num_frames`; `labels` of any of its frames."""

    name: str
    folder: str
    location: str
    num_frames: int = 0
    labels: set[int] = field(default_factory=set)


def read_frame_table(path: str) -> Iterator[FrameFolder]:
    """One entry a video, in the order of the list. Raises DataError with file and line."""
    lines = read_lines(path)
    next(lines, None)
    current = None
    for location, text in lines:
        fields = text.split()
        if len(fields) != 5:
            raise DataError(
                f"{location}: '{text[:120]}' has {len(fields)} fields; expected the five of the header"
                " `original_vido_id video_id frame_id path labels`"
            )
        name, _, _, frame, labels = fields
        if current is None or current.name != name:
            if current:
                yield current
            current = FrameFolder(name, os.path.dirname(frame), location)
        current.num_frames += 1
        current.labels.update(
            to_int(label, location, "a label") for label in labels.strip('"').split(",") if label
        )
    if current:
        yield current
