"""What a video reader is: the frame asked for is the frame that comes.

Shapes: T frames, H W pixels, C colours (RGB).
"""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from slowfast_ext.registry import Registry

DECODERS = Registry("DECODERS")


class Reader(Protocol):
    """An open video. Registered in DECODERS as a callable `(path: str, index: VideoIndex) -> Reader`.

    Opening raises DataError where the file cannot be read. Readers are made, used and closed in one
    process, with one decoding thread.
    """

    fps: float

    def __len__(self) -> int:
        """True number of frames, each of which can be decoded."""
        ...

    def frames(self, indices: Sequence[int], short_side: int = 0) -> Tensor:
        """Frames at the indices (0-based, any order, repeats allowed): uint8 [T, H, W, 3].

        `short_side` > 0 is a wish: frames larger than that may come scaled down to it.
        Raises DataError for a frame that cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Give back the decoder's memory and file."""
        ...
