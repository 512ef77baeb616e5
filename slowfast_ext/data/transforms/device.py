"""Bytes to model input, on whatever device the batch is.

Shapes: B batch, T frames, C colours, H W pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.options import Options, option, section


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class PixelOptions(Options):
    """Videos, clips and views: the section DATA."""

    mean: tuple[float, ...] = option(
        (0.45, 0.45, 0.45), "mean subtracted from pixels in [0, 1]", length=3
    )
    std: tuple[float, ...] = option(
        (0.225, 0.225, 0.225), "deviation that pixels are divided by", length=3
    )
    channel_order: str = option(
        "rgb", "order of the colour channels fed to the model", choices=("rgb", "bgr")
    )


def to_model_input(clip_BTCHW: Tensor, cfg: CfgNode) -> Tensor:
    """uint8 RGB [B, T, C, H, W] -> normalised float32 [B, C, T, H, W], contiguous.

    Channels are put in DATA.CHANNEL_ORDER first; DATA.MEAN and DATA.STD are in that order.
    """
    clip_BCTHW = clip_BTCHW.transpose(1, 2)
    if cfg.DATA.CHANNEL_ORDER == "bgr":
        clip_BCTHW = clip_BCTHW.flip(1)
    pixels = clip_BCTHW.contiguous().float()
    mean_C111 = _levels(tuple(cfg.DATA.MEAN), pixels.device)
    std_C111 = _levels(tuple(cfg.DATA.STD), pixels.device)
    return pixels.sub_(mean_C111).div_(std_C111)


@lru_cache(maxsize=16)
def _levels(shares: tuple[float, ...], device: torch.device) -> Tensor:
    """Shares of full intensity as levels of a byte; kept, as a copy to the device would stall each step."""
    return 255 * torch.tensor(shares, device=device).view(-1, 1, 1, 1)
