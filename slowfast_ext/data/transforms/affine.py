"""Affine resampling of a clip with PIL's rules, all frames in one sparse product.

An affine map reads the same source pixels for every frame and colour. With pixels as rows of T*C
values, resampling is a weighted sum of 4 (bilinear) or 16 (bicubic) rows for each output pixel,
which is what `embedding_bag` computes: about 4 times faster than PIL frame by frame.

PIL's rules: pixel centres at +0.5, output whose source lies outside the frame is filled, taps beyond
the edge repeat it, bicubic with a = -1, results cut off, not rounded.
Shapes: T frames, C colours, H W pixels, N = H*W output pixels, K taps.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from slowfast_ext.data.transforms.box import Box, HeightWidth

Matrix = tuple[float, float, float, float, float, float]

FILL = 128
FRAMES = 8
"""Frames at a time: buffers of a few MB are used again, larger ones are new pages from the system."""


class Window(NamedTuple):
    """Parts of frames of a size: what is there, and what is wanted of the result."""

    source: Box
    target: Box
    size: HeightWidth


def affine(
    clip_TCHW: Tensor,
    matrix: Matrix,
    interpolation: str,
    fill: int = FILL,
    window: Window | None = None,
) -> Tensor:
    """Clip whose pixel (x, y) shows source (a x + b y + c, d x + e y + f), matrix (a, b, c, d, e, f).

    `clip_TCHW` holds the window's source, which has all that `source_box` names; the result is its target.
    """
    T, C, height, width = clip_TCHW.shape
    whole = Box.whole((height, width))
    window = window or Window(whole, whole, (height, width))
    H, W = window.target.height, window.target.width
    index_NK, weight_NK, outside_N = _taps(matrix, interpolation, window)
    filled = outside_N.nonzero().flatten()
    out_THWC = torch.empty((T, H, W, C), dtype=torch.uint8)
    for part_TCHW, out in zip(clip_TCHW.split(FRAMES), out_THWC.split(FRAMES), strict=True):
        rows = embedding_bag(index_NK, _rows(part_TCHW), mode="sum", per_sample_weights=weight_NK)
        pixels = rows.clamp_(0, 255).to(torch.uint8).index_fill_(0, filled, fill)
        out.copy_(pixels.view(H, W, -1, C).permute(2, 0, 1, 3))
    return out_THWC.permute(0, 3, 1, 2)


def _rows(clip_TCHW: Tensor) -> Tensor:
    """float32 [H*W, T*C], written frame by frame: twice as fast as one permuted copy."""
    T, C, H, W = clip_TCHW.shape
    rows_HWTC = torch.empty(H, W, T, C)
    for t, frame_CHW in enumerate(clip_TCHW):
        rows_HWTC[:, :, t] = frame_CHW.permute(1, 2, 0)
    return rows_HWTC.view(H * W, T * C)


def source_box(matrix: Matrix, target: Box, size: HeightWidth) -> Box:
    """The pixels that a target depends on, whatever the interpolation, in frames of a size."""
    (top, height), (left, width) = (
        _reach(row, target, length)
        for row, length in zip((matrix[3:], matrix[:3]), size, strict=True)
    )
    return Box(top, left, height, width)


def _reach(row: tuple[float, ...], target: Box, length: int) -> tuple[int, int]:
    """First pixel and number of pixels along one axis: the corners are the outermost."""
    a, b, c = row
    xs = (target.left + 0.5, target.left + target.width - 0.5)
    ys = (target.top + 0.5, target.top + target.height - 0.5)
    corners = [math.floor(a * x + b * y + c - 0.5) for x in xs for y in ys]
    first, last = (min(max(edge, 0), length - 1) for edge in (min(corners) - 1, max(corners) + 2))
    return first, last - first + 1


def _taps(matrix: Matrix, interpolation: str, window: Window) -> tuple[Tensor, Tensor, Tensor]:
    """Source rows and their weights for each output pixel, and which pixels are filled."""
    a, b, c, d, e, f = matrix
    source, target, (height, width) = window
    x = torch.arange(target.width, dtype=torch.float64) + (target.left + 0.5)
    y = torch.arange(target.height, dtype=torch.float64)[:, None] + (target.top + 0.5)
    source_x, source_y = a * x + b * y + c, d * x + e * y + f
    outside = (source_x < 0) | (source_x >= width) | (source_y < 0) | (source_y >= height)
    column, weight_x = _axis_taps(source_x.flatten(), width, interpolation)
    row, weight_y = _axis_taps(source_y.flatten(), height, interpolation)
    column, row = column - source.left, row - source.top
    index = row[:, :, None] * source.width + column[:, None, :]
    weight = weight_y[:, :, None] * weight_x[:, None, :]
    return index.flatten(1), weight.flatten(1), outside.flatten()


def _axis_taps(source_N: Tensor, length: int, interpolation: str) -> tuple[Tensor, Tensor]:
    """Positions along one axis and weights; one tap where every source is a pixel centre."""
    centred = source_N - 0.5
    whole = centred.floor()
    part = (centred - whole).float()[:, None]
    reach, weigh = KERNELS[interpolation] if part.any() else (range(1), torch.ones_like)
    taps = whole.int()[:, None] + torch.tensor(reach, dtype=torch.int32)
    return taps.clamp_(0, length - 1), weigh(part)


def _bilinear(t: Tensor) -> Tensor:
    return torch.cat([1 - t, t], 1)


def _bicubic(t: Tensor) -> Tensor:
    """Keys' kernel with a = -1 at distances 1 + t, t, 1 - t, 2 - t."""
    t2, t3 = t * t, t * t * t
    return torch.cat([-t3 + 2 * t2 - t, t3 - 2 * t2 + 1, -t3 + t2 + t, t3 - t2], 1)


KERNELS: dict[str, tuple[range, Callable[[Tensor], Tensor]]] = {
    "bilinear": (range(2), _bilinear),
    "bicubic": (range(-1, 3), _bicubic),
}
