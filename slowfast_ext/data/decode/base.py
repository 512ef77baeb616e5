"""What a video reader is: the frame asked for is the frame that comes.

Shapes: T frames, H W pixels, 3 colours (RGB). Readers give NumPy arrays, not tensors: they run in
a small child process (see watchdog.py) that never loads torch.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.registry import Registry

DECODERS = Registry("DECODERS")

Frames = NDArray[np.uint8]
Allocate = Callable[[tuple[int, ...]], Frames]


class Reader(Protocol):
    """An open video: a class registered in DECODERS, made as `(path, index, short_side)`.

    Opening raises an error where the file cannot be read. `short_side` > 0 is a wish: larger
    frames may come scaled down to it. A reader is made, used and closed in one process and decodes
    with one thread.
    """

    guarded: bool
    """Whether it needs the killable process: true of everything that runs a video codec."""

    size: tuple[int, int]
    """Height and width of the frames that come."""

    def __init__(self, path: str, index: VideoIndex, short_side: int = 0) -> None: ...

    @staticmethod
    def missing() -> str:
        """What to install where its library is not there, else an empty string; cheap."""
        ...

    @staticmethod
    def exact(index: VideoIndex) -> bool:
        """Whether this reader gives the right frames for such a file."""
        ...

    def frames(self, indices: Sequence[int], out: Frames) -> None:
        """Fill out [T, H, W, 3] with the frames (0-based, any order, repeats allowed).

        Raises an error for a frame that cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Give back the decoder's memory and file."""
        ...


def read_frames(
    reader: type[Reader],
    path: str,
    index: VideoIndex,
    indices: Sequence[int],
    short_side: int = 0,
    allocate: Allocate = lambda shape: np.empty(shape, np.uint8),
) -> Frames:
    """Open, read, close: uint8 [T, H, W, 3] in memory that `allocate` gives."""
    video = reader(path, index, short_side)
    try:
        out = allocate((len(indices), *video.size, 3))
        video.frames(indices, out)
    finally:
        video.close()
    return out


def scaled_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """(H, W) scaled down so that the smaller is `short_side`; 0 or a larger value leaves it."""
    smaller = min(size)
    if not 0 < short_side < smaller:
        return size
    height, width = (max(1, round(side * short_side / smaller)) for side in size)
    return height, width


def positions_of(indices: Sequence[int]) -> dict[int, list[int]]:
    """Frame -> where it goes in the clip, in order of frames: each is decoded once."""
    positions: dict[int, list[int]] = {}
    for position, index in enumerate(indices):
        positions.setdefault(int(index), []).append(position)
    return dict(sorted(positions.items()))
