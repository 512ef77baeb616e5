"""Colour operations with PIL's results to the bit, on uint8 clips.

Each operation takes the fastest exact way: arithmetic on bytes, a look-up table through
`bytes.translate`, or PIL itself frame by frame where it needs a histogram or grey values.
Shapes: clip_TCHW uint8 RGB.
"""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

SMOOTH_SUM = 13


def invert(clip_TCHW: Tensor) -> Tensor:
    """255 - x."""
    return clip_TCHW.bitwise_not()


def posterize(clip_TCHW: Tensor, bits: int) -> Tensor:
    """Keep the `bits` highest bits; none of them is black, as in Pillow before 13."""
    return clip_TCHW & (0xFF00 >> bits & 0xFF)


def solarize(clip_TCHW: Tensor, threshold: int) -> Tensor:
    """Invert values of at least `threshold`; 256 inverts none."""
    if threshold > 255:
        return clip_TCHW
    return clip_TCHW ^ (clip_TCHW >= threshold).view(torch.uint8).mul_(255)


def solarize_add(clip_TCHW: Tensor, amount: int) -> Tensor:
    """Add `amount` (at most 128) to values below 128."""
    return clip_TCHW + (clip_TCHW < 128).view(torch.uint8).mul_(amount)


def brightness(clip_TCHW: Tensor, factor: float) -> Tensor:
    """Blend with black: factor 0 is black, 1 the clip."""
    pixels = _as_numpy(clip_TCHW)
    table = (np.arange(256, dtype=np.float32) * np.float32(factor)).clip(0, 255).astype(np.uint8)
    looked_up = bytearray(pixels.tobytes()).translate(table.tobytes())
    return _as_clip(np.frombuffer(looked_up, np.uint8).reshape(pixels.shape))


def contrast(clip_TCHW: Tensor, factor: float) -> Tensor:
    """Blend each frame with its mean grey."""
    return _each_frame(clip_TCHW, lambda frame: ImageEnhance.Contrast(frame).enhance(factor))


def color(clip_TCHW: Tensor, factor: float) -> Tensor:
    """Blend with the grey clip: factor 0 is grey, 1 the clip."""
    return _each_frame(clip_TCHW, lambda frame: ImageEnhance.Color(frame).enhance(factor))


def autocontrast(clip_TCHW: Tensor) -> Tensor:
    """Stretch each channel of each frame to 0..255."""
    return _each_frame(clip_TCHW, ImageOps.autocontrast)


def equalize(clip_TCHW: Tensor) -> Tensor:
    """Equalise the histogram of each channel of each frame."""
    return _each_frame(clip_TCHW, ImageOps.equalize)


def blur(clip_TCHW: Tensor, radius: float) -> Tensor:
    """Gaussian blur; the radius is the standard deviation in pixels."""
    return _each_frame(clip_TCHW, lambda frame: frame.filter(ImageFilter.GaussianBlur(radius)))


def sharpness(clip_TCHW: Tensor, factor: float) -> Tensor:
    """Blend with the smoothed clip (3x3, centre 5, rest 1); the outermost pixels stay."""
    out_TCHW = clip_TCHW.clone()
    if min(clip_TCHW.shape[-2:]) < 3:
        return out_TCHW
    for frame_CHW, out_CHW in zip(clip_TCHW, out_TCHW, strict=True):
        inner = frame_CHW[:, 1:-1, 1:-1]
        smooth = _smooth(frame_CHW)
        blend = (inner - smooth).mul_(factor).add_(smooth)
        out_CHW[:, 1:-1, 1:-1] = blend.clamp_(0, 255)
    return out_TCHW


def _smooth(frame_CHW: Tensor) -> Tensor:
    """PIL's SMOOTH filter without the outermost pixels, float32 of whole numbers."""
    wide = frame_CHW.to(torch.int16)
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * wide[:, 1:-1, 1:-1]
    return total.float().add_(SMOOTH_SUM / 2).div_(SMOOTH_SUM).floor_()


def _each_frame(clip_TCHW: Tensor, operation: Callable[[Image.Image], Image.Image]) -> Tensor:
    pixels = _as_numpy(clip_TCHW)
    out = np.empty_like(pixels)
    for frame, result in zip(pixels, out, strict=True):
        result[:] = operation(Image.fromarray(frame))
    return _as_clip(out)


def _as_numpy(clip_TCHW: Tensor) -> np.ndarray:
    """The pixels as [T, H, W, C] in one piece."""
    return np.ascontiguousarray(clip_TCHW.permute(0, 2, 3, 1).numpy())


def _as_clip(pixels_THWC: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels_THWC).permute(0, 3, 1, 2)
