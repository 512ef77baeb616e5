"""Bytes to model input, on whatever device the batch is.

Shapes: B batch, T frames, C colours, H W pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from slowfast_ext.options import Options, option, section


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class PixelOptions(Options):
    """Normalisation and channel order of the model's input."""

    mean: tuple[float, ...] = option(
        (0.45, 0.45, 0.45), "mean subtracted from pixels in [0, 1]", length=3
    )
    std: tuple[float, ...] = option(
        (0.225, 0.225, 0.225), "standard deviation that pixels are divided by", length=3
    )
    channel_order: str = option(
        "rgb", "order of the colour channels fed to the model", choices=("rgb", "bgr")
    )


def to_model_input(clip_BTCHW: Tensor, pixels: PixelOptions) -> Tensor:
    """uint8 RGB [B, T, C, H, W] -> normalised float32 [B, C, T, H, W], contiguous.

    Channels are put in `channel_order` first; `mean` and `std` are in that order.
    """
    clip_BCTHW = clip_BTCHW.transpose(1, 2)
    if pixels.channel_order == "bgr":
        clip_BCTHW = clip_BCTHW.flip(1)
    out = clip_BCTHW.contiguous().float()
    return out.sub_(_levels(pixels.mean, out.device)).div_(_levels(pixels.std, out.device))


def to_pixels(clip_BCTHW: Tensor, pixels: PixelOptions) -> Tensor:
    """Model input -> uint8 RGB [B, T, H, W, C]: the inverse of `to_model_input`."""
    mean_C111, std_C111 = (torch.tensor(v).view(-1, 1, 1, 1) for v in (pixels.mean, pixels.std))
    out = (clip_BCTHW * std_C111 + mean_C111).mul_(255).round_().clamp_(0, 255).to(torch.uint8)
    if pixels.channel_order == "bgr":
        out = out.flip(1)
    return out.permute(0, 2, 3, 4, 1)


@lru_cache(maxsize=16)
def _levels(shares: tuple[float, ...], device: torch.device) -> Tensor:
    """Shares of full intensity as levels of a byte; cached, as a copy to the device would stall each step."""
    return 255 * torch.tensor(shares, device=device).view(-1, 1, 1, 1)
