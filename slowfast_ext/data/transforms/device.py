"""Bytes to model input, on whatever device the batch is.

Shapes: B batch, T frames, C colours, H W pixels.
"""

import torch
from torch import Tensor
from yacs.config import CfgNode


def to_model_input(clip_BTCHW: Tensor, cfg: CfgNode) -> Tensor:
    """uint8 RGB [B, T, C, H, W] -> normalised float32 [B, C, T, H, W], contiguous.

    Channels are put in DATA.CHANNEL_ORDER first; DATA.MEAN and DATA.STD are in that order.
    """
    clip_BCTHW = clip_BTCHW.transpose(1, 2)
    if cfg.DATA.CHANNEL_ORDER == "bgr":
        clip_BCTHW = clip_BCTHW.flip(1)
    pixels = clip_BCTHW.contiguous().float()
    mean = torch.tensor(cfg.DATA.MEAN, device=pixels.device).view(-1, 1, 1, 1)
    std = torch.tensor(cfg.DATA.STD, device=pixels.device).view(-1, 1, 1, 1)
    return pixels.sub_(255 * mean).div_(255 * std)
