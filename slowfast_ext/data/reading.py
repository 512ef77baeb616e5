"""How the frames of a record are asked for, and what is said where they cannot be read.

Shapes: T frames, C colours, H W pixels.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from slowfast_ext.data.batch import BadSample
from slowfast_ext.data.decode.source import ClipInfo, LengthChangedError
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import DataError

MAX_ASPECT = 32
"""Of long to short side: the short side scaled to a crop's, frames beyond take gigabytes."""

Item = TypeVar("Item")
Clips = TypeVar("Clips")


class Source(Protocol):
    """Reads the videos of records, whatever they are stored as. `counts` only grows."""

    @property
    def counts(self) -> Counter[str]:
        """What happened -> how often."""
        ...

    def info(self, record: VideoRecord) -> ClipInfo:
        """Frames and frame rate. Raises DataError for a video that cannot be read."""
        ...

    def frames(self, record: VideoRecord, indices: Sequence[int], short_side: int = 0) -> Tensor:
        """uint8 [T, H, W, C], scaled down to `short_side` at will. Raises DataError."""
        ...


def recounted(read: Callable[[Item], Clips], item: Item) -> Clips:
    """What `read` gives; once more from the start when reading shows that a file has fewer frames than it claims."""
    try:
        return read(item)
    except LengthChangedError:
        return read(item)


def read_frames(
    source: Source, record: VideoRecord, indices: np.ndarray, short_side: int
) -> Tensor:
    """Frames uint8 [T, C, H, W]. Raises DataError, also for such that no crop makes sense of."""
    frames_THWC = source.frames(record, indices.tolist(), short_side)
    _, height, width, _ = frames_THWC.shape
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise DataError(
            f"{record.shown}: frames are {width}x{height}: no crop of such a strip has a meaning"
        )
    return frames_THWC.permute(0, 3, 1, 2)


def bad_sample(index: int, record: VideoRecord, error: DataError) -> BadSample:
    """What is reported of a video that could not be read."""
    reason = str(error).removeprefix(f"{record.shown}: ")
    return BadSample(index, record.path, record.location, reason)


def many_bad(bad: Sequence[BadSample]) -> str:
    """Why nothing is read any more, after several in a row."""
    reasons = "\n".join(f"  {sample.location}: {sample.path}: {sample.reason}" for sample in bad)
    return f"{len(bad)} videos in a row could not be read; check the data with slowfast-ext data check\n{reasons}"
