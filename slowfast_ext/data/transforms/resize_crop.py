"""Resizing and cropping of clips: random for training, at fixed positions for testing.

A crop has a size (height, width), square or not. Frames are scaled so that they cover it: the scale at which
they just do is 1, and the short-side scales of training are relative to the crop's short side.
Shapes: clip_TCHW uint8, any memory layout, channels_last is fast. Sizes in pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import interpolate

from slowfast_ext.data.transforms.box import Box, HeightWidth, crop
from slowfast_ext.options import Options, Size, option, pair, section


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class CropOptions(Options):
    """How frames are scaled and cropped."""

    train_crop_size: Size = option(
        224,
        "side of the square training crop, or [height, width], which frames are scaled to cover",
        unit="px",
        low=1,
        length=2,
        types=(int, list, tuple),
    )
    test_crop_size: Size = option(
        224,
        "side of the square test crop, or [height, width], which frames are scaled to cover",
        unit="px",
        low=1,
        length=2,
        types=(int, list, tuple),
    )
    test_crop_ratio: float = option(
        1.0,
        "test crop as a part of the frames, which are scaled to cover the crop divided by it; 0.875 on ImageNet",
        low=0.1,
        high=1,
    )
    train_jitter_scales: tuple[int, ...] = option(
        (256, 320),
        "range of the short side before a random crop; with a crop of [height, width], frames that just cover it "
        "count as its short side",
        unit="px",
        low=1,
        length=2,
    )
    train_jitter_scales_relative: tuple[float, ...] = option(
        (), "area range of a random-resized crop; empty: short-side jitter", low=0, high=1, length=2
    )
    train_jitter_aspect_relative: tuple[float, ...] = option(
        (),
        "range of width / height of a random-resized crop, relative to that of the training crop",
        low=0,
        length=2,
    )
    train_multi_scale_crop: tuple[float, ...] = option(
        (),
        "sides of a crop at fixed positions, as parts of the largest crop (TSN: 1, .875, .75, .66); empty: off",
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


POSITIONS = tuple((y, x) for step in ((0, 2, 4), (1, 3)) for y in step for x in step)
"""Where a multi-scale crop lies, from the top and the left, in quarters of the room that it leaves."""

USUAL_ASPECTS = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class Resize:
    """How frames are resampled: "bilinear" or "bicubic"; without antialias as PySlowFast's `interpolate`."""

    mode: str = "bilinear"
    antialias: bool = True

    def __call__(self, clip_TCHW: Tensor, size: HeightWidth) -> Tensor:
        """Frames of (height, width)."""
        if tuple(clip_TCHW.shape[-2:]) == size:
            return clip_TCHW
        return interpolate(clip_TCHW, size=size, mode=self.mode, antialias=self.antialias)


def largest_box(height: int, width: int, size: Size) -> tuple[float, float]:
    """(height, width) of the largest box in a frame that has the aspect of a crop."""
    h, w = pair(size)
    return min(height, width * h / w), min(width, height * w / h)


def cover_size(height: int, width: int, size: Size) -> HeightWidth:
    """(height, width) of a frame scaled so that it just covers `size`; the longer part is rounded down."""
    h, w = pair(size)
    if height * w <= width * h:
        return (height, width) if height == h else (h, max(w, math.floor(width / height * h)))
    return (height, width) if width == w else (max(h, math.floor(height / width * w)), w)


def crop_box(height: int, width: int, size: Size, position: int) -> Box:
    """Test crop along the side with more room: position 0 left or top, 1 centre, 2 right or bottom."""
    h, w = pair(size)
    downwards = height - h > width - w

    def offset(room: int, along: bool) -> int:
        centre = math.ceil(room / 2)
        return (0, centre, room)[position] if along else centre

    return Box(offset(height - h, downwards), offset(width - w, not downwards), h, w)


def test_crops(
    clip_TCHW: Tensor, size: Size, positions: Sequence[int], resize: Resize, cover: Size
) -> list[Tensor]:
    """Frames that just cover `cover`, then a crop of `size` at each position: views of one resized clip."""
    height, width = cover_size(clip_TCHW.shape[-2], clip_TCHW.shape[-1], cover)
    resized = resize(clip_TCHW, (height, width))
    return [crop(resized, crop_box(height, width, size, position)) for position in positions]


class RandomCrop:
    """A random box of every frame, resized to `size`."""

    size: Size
    resize: Resize

    def box(self, height: int, width: int, rng: np.random.Generator) -> Box:
        """The source pixels that the drawn crop shows."""
        raise NotImplementedError

    def resized(self, patch_TCHW: Tensor) -> Tensor:
        """The pixels of a box at their final size."""
        return self.resize(patch_TCHW, pair(self.size))

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """The drawn crop at its final size."""
        return self.resized(
            crop(clip_TCHW, self.box(clip_TCHW.shape[-2], clip_TCHW.shape[-1], rng))
        )


@dataclass(frozen=True)
class JitterCrop(RandomCrop):
    """Short side drawn from [low, high], then a random crop, as one crop and one resize.

    Where the crop is not square, frames that just cover it count as its own short side: the drawn number
    divided by the crop's short side is the scale beyond that.
    `inverse` draws uniformly in 1/size (PySlowFast's INV_UNIFORM_SAMPLE).
    """

    size: Size
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
        crop_short = min(pair(self.size))
        h, w = (
            min(round(side), max(1, round(side * crop_short / short)))
            for side in largest_box(height, width, self.size)
        )
        return _random_box(height, width, h, w, rng)


@dataclass(frozen=True)
class MultiScaleCrop(RandomCrop):
    """Sides that are parts of the largest crop, at fixed positions (TSN, Wang et al., 2016; XViT).

    Height and width are the same of the `scales` or neighbours in their list. The positions are the
    corners, the centre, and those half way and a quarter of the way between them.
    """

    size: Size
    scales: tuple[float, ...]
    resize: Resize = Resize()

    def box(self, height: int, width: int, rng: np.random.Generator) -> Box:
        """A box of the drawn sides at the drawn position."""
        heights, widths = (
            [max(1, int(side * scale)) for scale in self.scales]
            for side in largest_box(height, width, self.size)
        )
        pairs = [(h, w) for i, h in enumerate(heights) for w in widths[max(0, i - 1) : i + 2]]
        h, w = pairs[int(rng.integers(len(pairs)))]
        y, x = POSITIONS[int(rng.integers(len(POSITIONS)))]
        return Box(y * ((height - h) // 4), x * ((width - w) // 4), h, w)


@dataclass(frozen=True)
class RandomResizedCrop(RandomCrop):
    """A box of random area and log-uniform aspect ratio, resized to `size` (Inception).

    `ratio` is that of width / height relative to the crop's own.
    """

    size: Size
    scale: tuple[float, float]
    ratio: tuple[float, float] = USUAL_ASPECTS
    resize: Resize = Resize()
    tries: int = 10

    @property
    def _aspect(self) -> float:
        h, w = pair(self.size)
        return w / h

    def box(self, height: int, width: int, rng: np.random.Generator) -> Box:
        """The drawn box; after `tries` misfits the largest central one of a legal ratio."""
        low, high = (math.log(bound) for bound in self.ratio)
        for _ in range(self.tries):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(low, high)) * self._aspect
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                return _random_box(height, width, h, w, rng)
        return self._central(height, width)

    def _central(self, height: int, width: int) -> Box:
        low, high = (bound * self._aspect for bound in self.ratio)
        w = min(width, round(height * high))
        h = min(height, round(width / low))
        return Box((height - h) // 2, (width - w) // 2, h, w)


def _random_box(height: int, width: int, h: int, w: int, rng: np.random.Generator) -> Box:
    """A box of h x w anywhere in the frame; the top is drawn first."""
    top = int(rng.integers(0, height - h, endpoint=True))
    return Box(top, int(rng.integers(0, width - w, endpoint=True)), h, w)
