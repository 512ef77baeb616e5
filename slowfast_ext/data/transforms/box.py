"""Rectangles of pixels. Shapes: clip_TCHW any type and memory layout."""

from typing import NamedTuple

from torch import Tensor

HeightWidth = tuple[int, int]
"""Height and width in pixels."""


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def whole(cls, size: HeightWidth) -> "Box":
        """All of a frame."""
        return cls(0, 0, *size)

    def grown(self, margin: int, size: HeightWidth) -> "Box":
        """With up to `margin` more pixels on each side, inside a frame of a size."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        bottom = min(size[0], self.top + self.height + margin)
        right = min(size[1], self.left + self.width + margin)
        return Box(top, left, bottom - top, right - left)

    def within(self, outer: "Box") -> "Box":
        """The same pixels, counted from the corner of another box."""
        return self._replace(top=self.top - outer.top, left=self.left - outer.left)


def crop(clip_TCHW: Tensor, box: Box) -> Tensor:
    """View of the box in every frame."""
    top, left, height, width = box
    return clip_TCHW[..., top : top + height, left : left + width]
