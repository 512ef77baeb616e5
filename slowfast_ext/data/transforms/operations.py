"""The operations of RandAugment and AutoAugment by timm's names, with timm's magnitudes.

An operation makes a part of a frame from the part of the frame before that it depends on, so that a chain of
them works only on the pixels which a crop at its end shows. Levels are magnitudes / 10.
Shapes: clip_TCHW uint8 RGB.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from slowfast_ext.data.transforms import photometric
from slowfast_ext.data.transforms.affine import Matrix, Window, affine, source_box
from slowfast_ext.data.transforms.box import Box, HeightWidth, crop


class Step(NamedTuple):
    """One drawn operation: its name, level (magnitude / 10) and sign (1 or -1)."""

    name: str
    level: float
    sign: float


class Operation(Protocol):
    """A change of every frame of a clip."""

    def source(self, step: Step, target: Box, size: HeightWidth) -> Box:
        """The pixels that a target depends on, in frames of a size."""
        ...

    def __call__(self, clip_TCHW: Tensor, step: Step, window: Window, interpolation: str) -> Tensor:
        """The window's target; the clip holds its source."""
        ...


@dataclass(frozen=True)
class Colour:
    """Changes colours. `reach`: a pixel depends on neighbours so far away; None: on the whole frame."""

    change: Callable[[Tensor, Step], Tensor]
    reach: int | None = 0

    def source(self, step: Step, target: Box, size: HeightWidth) -> Box:
        """See `Operation`."""
        return Box.whole(size) if self.reach is None else target.grown(self.reach, size)

    def __call__(self, clip_TCHW: Tensor, step: Step, window: Window, interpolation: str) -> Tensor:
        """See `Operation`."""
        return crop(self.change(clip_TCHW, step), window.target.within(window.source))


@dataclass(frozen=True)
class Geometric:
    """Moves pixels by an affine map of (signed level * reach, height, width)."""

    map: Callable[[float, int, int], Matrix]
    reach: float

    def source(self, step: Step, target: Box, size: HeightWidth) -> Box:
        """See `Operation`."""
        return source_box(self.matrix(step, size), target, size)

    def __call__(self, clip_TCHW: Tensor, step: Step, window: Window, interpolation: str) -> Tensor:
        """See `Operation`."""
        return affine(clip_TCHW, self.matrix(step, window.size), interpolation, window=window)

    def matrix(self, step: Step, size: HeightWidth) -> Matrix:
        """Where a pixel of the result comes from, in frames of a size: see `affine`."""
        return self.map(step.sign * step.level * self.reach, *size)


def rotation(degrees: float, height: int, width: int) -> Matrix:
    """Counter-clockwise about the centre of the frame."""
    angle = -math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = width / 2, height / 2
    return (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y)


def _plain(change: Callable[[Tensor], Tensor], reach: int | None = 0) -> Colour:
    return Colour(lambda clip, step: change(clip), reach)


def _levelled(change: Callable[[Tensor, int], Tensor], amount: Callable[[float], int]) -> Colour:
    return Colour(lambda clip, step: change(clip, amount(step.level)))


def _blends(
    name: str, blend: Callable[[Tensor, float], Tensor], reach: int | None = 0
) -> dict[str, Colour]:
    """Factor 0.1 to 1.9, or, increasing, as far from 1 as the level says."""
    return {
        name: Colour(lambda clip, step: blend(clip, step.level * 1.8 + 0.1), reach),
        f"{name}Increasing": Colour(
            lambda clip, step: blend(clip, max(0.1, 1 + step.sign * step.level * 0.9)), reach
        ),
    }


def _bits(level: float) -> int:
    return int(level * 4)


def _threshold(level: float) -> int:
    return min(256, int(level * 256))


OPERATIONS: dict[str, Operation] = {
    "AutoContrast": _plain(photometric.autocontrast, reach=None),
    "Equalize": _plain(photometric.equalize, reach=None),
    "Invert": _plain(photometric.invert),
    "Posterize": _levelled(photometric.posterize, _bits),
    "PosterizeIncreasing": _levelled(photometric.posterize, lambda v: 4 - _bits(v)),
    "PosterizeOriginal": _levelled(photometric.posterize, lambda v: 4 + _bits(v)),
    "Solarize": _levelled(photometric.solarize, _threshold),
    "SolarizeIncreasing": _levelled(photometric.solarize, lambda v: 256 - _threshold(v)),
    "SolarizeAdd": _levelled(photometric.solarize_add, lambda v: min(128, int(v * 110))),
    **_blends("Color", photometric.color),
    **_blends("Contrast", photometric.contrast, reach=None),
    **_blends("Brightness", photometric.brightness),
    **_blends("Sharpness", photometric.sharpness, reach=1),
    "Desaturate": Colour(lambda clip, step: photometric.color(clip, 0.5 - step.level / 2)),
    "GaussianBlur": Colour(
        lambda clip, step: photometric.blur(clip, 0.1 + 1.9 * step.level), reach=None
    ),
    "Rotate": Geometric(rotation, 30),
    "ShearX": Geometric(lambda v, h, w: (1, v, 0, 0, 1, 0), 0.3),
    "ShearY": Geometric(lambda v, h, w: (1, 0, 0, v, 1, 0), 0.3),
    "TranslateXRel": Geometric(lambda v, h, w: (1, 0, v * w, 0, 1, 0), 0.45),
    "TranslateYRel": Geometric(lambda v, h, w: (1, 0, 0, 0, 1, v * h), 0.45),
}


def apply_steps(
    clip_TCHW: Tensor, steps: Sequence[Step], interpolation: str, target: Box | None = None
) -> Tensor:
    """The clip after all steps, or only the target box of it: the same pixels, for less work."""
    size = (clip_TCHW.shape[-2], clip_TCHW.shape[-1])
    boxes = [target or Box.whole(size)]
    for step in reversed(steps):
        boxes.append(OPERATIONS[step.name].source(step, boxes[-1], size))
    source = boxes.pop()
    clip_TCHW = crop(clip_TCHW, source)
    for step in steps:
        window = Window(source, boxes.pop(), size)
        clip_TCHW = OPERATIONS[step.name](clip_TCHW, step, window, interpolation)
        source = window.target
    return clip_TCHW
