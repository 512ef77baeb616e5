"""Resizing and cropping of clips: random for training, at fixed places for testing.

Shapes: clip_TCHW uint8, any memory layout, channels_last is fast. Sizes in pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import interpolate

from slowfast_ext import options as sizes
from slowfast_ext.data.transforms.box import Box, Size, crop
from slowfast_ext.options import Options, option, section


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class CropOptions(Options):
    """Videos, clips and views: the section DATA."""

    train_crop_size: sizes.Size = option(
        224,
        "side of the square training crop, or [height, width]",
        unit="px",
        low=1,
        length=2,
        types=(int, list, tuple),
    )
    test_crop_size: sizes.Size = option(
        224,
        "side of the square test crop, or [height, width]",
        unit="px",
        low=1,
        length=2,
        types=(int, list, tuple),
    )
    test_crop_ratio: float = option(
        1.0,
        "test crop as a part of the short side, to which frames are scaled first; 0.875 on ImageNet",
        low=0.1,
        high=1,
    )
    train_jitter_scales: tuple[int, ...] = option(
        (256, 320), "range of the short side before a random crop", unit="px", low=1, length=2
    )
    train_jitter_scales_relative: tuple[float, ...] = option(
        (), "area range of a random-resized crop; empty: short-side jitter", low=0, high=1, length=2
    )
    train_jitter_aspect_relative: tuple[float, ...] = option(
        (), "aspect range of a random-resized crop", low=0, length=2
    )
    train_multi_scale_crop: tuple[float, ...] = option(
        (),
        "sides of a crop at fixed places, as parts of the short side (TSN: 1, .875, .75, .66); empty: off",
        low=0.01,
        high=1,
    )
    inv_uniform_sample: bool = option(
        False, "jitter the short side uniformly in 1/size (PySlowFast's key)"
    )
    antialias: bool = option(
        True, "average pixels when frames are scaled down; off reproduces PySlowFast's resize"
    )
    interpolation: str = option(
        "bilinear",
        "how crops are resampled to their size; bicubic on ImageNet",
        choices=("bilinear", "bicubic"),
    )
    random_flip: bool = option(
        True, "mirror training clips half of the time; off where direction is the label"
    )


PLACES = tuple((y, x) for step in ((0, 2, 4), (1, 3)) for y in step for x in step)
"""Where a multi-scale crop lies, from the top and the left, in quarters of the room that it leaves."""


@dataclass(frozen=True)
class Resize:
    """How frames are resampled: "bilinear" or "bicubic"; without antialias as PySlowFast's `interpolate`."""

    mode: str = "bilinear"
    antialias: bool = True

    def __call__(self, clip_TCHW: Tensor, size: Size) -> Tensor:
        """Frames of (height, width)."""
        if tuple(clip_TCHW.shape[-2:]) == size:
            return clip_TCHW
        return interpolate(clip_TCHW, size=size, mode=self.mode, antialias=self.antialias)


def short_side_size(height: int, width: int, short: int) -> tuple[int, int]:
    """(height, width) with the short side scaled to `short`, the long side rounded down."""
    if min(height, width) == short:
        return height, width
    if height <= width:
        return short, math.floor(width / height * short)
    return math.floor(height / width * short), short


def crop_box(height: int, width: int, size: int, place: int) -> Box:
    """Square test crop along the longer side: place 0 left or top, 1 centre, 2 right or bottom."""

    def offset(length: int, along: bool) -> int:
        room = length - size
        centre = math.ceil(room / 2)
        return (0, centre, room)[place] if along else centre

    return Box(offset(height, height > width), offset(width, width >= height), size, size)


def test_crops(
    clip_TCHW: Tensor, size: int, places: Sequence[int], resize: Resize, short: int
) -> list[Tensor]:
    """Short side to `short`, then one crop of `size` for each place: views of one resized clip."""
    height, width = short_side_size(*clip_TCHW.shape[-2:], short)
    resized = resize(clip_TCHW, (height, width))
    return [crop(resized, crop_box(height, width, size, place)) for place in places]


class RandomCrop:
    """A random box of every frame, resized to a square of `size` pixels."""

    size: int
    resize: Resize

    def box(self, height: int, width: int, rng: np.random.Generator) -> Box:
        """The source pixels that the drawn crop shows."""
        raise NotImplementedError

    def resized(self, patch_TCHW: Tensor) -> Tensor:
        """The pixels of a box at their final size."""
        return self.resize(patch_TCHW, (self.size, self.size))

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """The drawn crop at its final size."""
        return self.resized(crop(clip_TCHW, self.box(*clip_TCHW.shape[-2:], rng)))


@dataclass(frozen=True)
class JitterCrop(RandomCrop):
    """Short side drawn from [low, high], then a random square crop, as one crop and one resize.

    `inverse` draws uniformly in 1/size (PySlowFast's INV_UNIFORM_SAMPLE).
    """

    size: int
    low: int
    high: int
    inverse: bool = False
    resize: Resize = Resize()

    def box(self, height: int, width: int, rng: np.random.Generator) -> Box:
        """The source pixels that the drawn crop of the drawn scale shows."""
        if self.inverse:
            short = round(1 / rng.uniform(1 / self.high, 1 / self.low))
        else:
            short = int(rng.integers(self.low, self.high, endpoint=True))
        shortest = min(height, width)
        side = min(shortest, max(1, round(shortest * self.size / short)))
        top = int(rng.integers(0, height - side, endpoint=True))
        left = int(rng.integers(0, width - side, endpoint=True))
        return Box(top, left, side, side)


@dataclass(frozen=True)
class MultiScaleCrop(RandomCrop):
    """Sides that are parts of the short side, at fixed places (TSN, Wang et al., 2016; XViT).

    Height and width are the same of the `scales` or neighbours in their list. The places are the
    corners, the centre, and those half way and a quarter of the way between them.
    """

    size: int
    scales: tuple[float, ...]
    resize: Resize = Resize()

    def box(self, height: int, width: int, rng: np.random.Generator) -> Box:
        """A box of the drawn sides at the drawn place."""
        sides = [max(1, int(min(height, width) * scale)) for scale in self.scales]
        pairs = [(h, w) for i, h in enumerate(sides) for w in sides[max(0, i - 1) : i + 2]]
        h, w = pairs[int(rng.integers(len(pairs)))]
        y, x = PLACES[int(rng.integers(len(PLACES)))]
        return Box(y * ((height - h) // 4), x * ((width - w) // 4), h, w)


@dataclass(frozen=True)
class RandomResizedCrop(RandomCrop):
    """A box of random area and log-uniform aspect ratio (width/height), resized to a square (Inception)."""

    size: int
    scale: tuple[float, float]
    ratio: tuple[float, float]
    resize: Resize = Resize()
    tries: int = 10

    def box(self, height: int, width: int, rng: np.random.Generator) -> Box:
        """The drawn box; after `tries` misfits the largest central one of a legal ratio."""
        for _ in range(self.tries):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                top = int(rng.integers(0, height - h, endpoint=True))
                return Box(top, int(rng.integers(0, width - w, endpoint=True)), h, w)
        return self._central(height, width)

    def _central(self, height: int, width: int) -> Box:
        low, high = self.ratio
        w = min(width, round(height * high))
        h = min(height, round(width / low))
        return Box((height - h) // 2, (width - w) // 2, h, w)
