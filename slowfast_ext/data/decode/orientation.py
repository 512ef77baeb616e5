"""How a stored picture is turned and mirrored to be shown, by the display matrix of its file.

The matrix (ISO 14496-12) takes the point (x, y) of the stored picture, y downwards, to (a x + c y, b x + d y). Eight
of all matrices put pixels on pixels: four turns, with or without a mirror before them.

Shapes: H W pixels, C colours.
"""

from typing import Any, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_NEARLY = 0.18
"""Tangent of the angle, about 10 degrees, up to which a matrix stands for the nearest of the eight."""


class Orientation(NamedTuple):
    """Mirror left to right where `mirrored`, then turn by `turns` quarters, counter-clockwise."""

    turns: int = 0
    mirrored: bool = False

    @property
    def lies(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1

    def upright(self, stored_HWC: NDArray[Any]) -> NDArray[Any]:
        """The picture as it is shown; a view, not a copy."""
        mirrored = stored_HWC[:, ::-1] if self.mirrored else stored_HWC
        return np.rot90(mirrored, self.turns)


def orientation_of(frame: VideoFrame) -> Orientation:
    """By the frame's display matrix; as stored where it has none, or one that squeezes or tilts the picture."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32, count=5).astype(float).tolist()
    return _nearest(a, b, c, d)


def _nearest(a: float, b: float, c: float, d: float) -> Orientation:
    straight, across = min(abs(a), abs(d)), min(abs(b), abs(c))
    if max(abs(b), abs(c)) <= _NEARLY * straight and straight > 0:
        b = c = 0.0
    elif max(abs(a), abs(d)) <= _NEARLY * across and across > 0:
        a = d = 0.0
    else:
        return Orientation()
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    if a:
        return Orientation(0 if a > 0 else 2, mirrored)
    return Orientation(1 if b < 0 else 3, mirrored)
