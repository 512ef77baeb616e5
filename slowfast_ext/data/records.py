"""What an annotation reader gives: one record a video, and the facts of the set.

A record's labels: one class for each head (`labels=(3,)`, or verb and noun `(12, 45)`),
or, for a multi-label set, every class that is present.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slowfast_ext.registry import Registry
from slowfast_ext.safe_text import visible

DATASETS = Registry("DATASETS")

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """One labelled piece of video. `location` is "file:line" of its annotation, for messages.

    `num_frames` is set for a folder of images: what the list claims. `start` and `end` in seconds
    or `start_frame` and `end_frame` (both inclusive, first frame 0) cut a piece out of a longer file. `fps` is the rate
    at which a folder's images were taken, where the set knows it; else DATA.IMAGE_FPS is.
    """

    path: str
    labels: tuple[int, ...]
    location: str
    name: str = ""
    num_frames: int | None = None
    start: float | None = None
    end: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None
    fps: float | None = None

    @property
    def shown(self) -> str:
        """Path and location for a message, whatever bytes are in them."""
        return f"{visible(self.path)} ({visible(self.location)})"


@dataclass(frozen=True)
class VideoSet:
    """The records of one split and the class names of each head."""

    name: str
    split: str
    records: Sequence[VideoRecord]
    class_names: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[VideoRecord]:
        return iter(self.records)
