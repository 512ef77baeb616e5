"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019) on a batch.

One lambda for the batch, the partner of clip i is clip B-1-i. Shapes: B batch, C colours, T frames,
H W pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slowfast_ext.data.transforms.box import Box
from slowfast_ext.options import Options, option, section


@section("MIXUP", "Mixing of a training batch, and label smoothing")
@dataclass(frozen=True)
class MixupOptions(Options):
    """Whether and how the clips of a batch are mixed."""

    enable: bool = option(False, "mix clips of a batch")
    alpha: float = option(0.8, "mixup beta parameter; 0: no mixup", low=0)
    cutmix_alpha: float = option(1.0, "cutmix beta parameter; 0: no cutmix", low=0)
    prob: float = option(1.0, "probability that a batch is mixed", low=0, high=1)
    switch_prob: float = option(0.5, "probability of cutmix where both are on", low=0, high=1)


Targets = tuple[Tensor, ...]


def mix_batch(
    clip_BCTHW: Tensor, targets: Targets, options: MixupOptions, rng: np.random.Generator
) -> tuple[Tensor, Targets]:
    """The mixed clips, and their targets [B, ...] (one a head) mixed in the same shares."""
    lam, cutmix = draw_lambda(options, rng) if options.enable else (1.0, False)
    if lam == 1:
        return clip_BCTHW, targets
    if cutmix:
        clip_BCTHW, lam = _cutmix(clip_BCTHW, lam, rng)
    else:
        clip_BCTHW = torch.lerp(clip_BCTHW.flip(0), clip_BCTHW, lam)
    return clip_BCTHW, tuple(torch.lerp(y.flip(0), y, lam) for y in targets)


def draw_lambda(options: MixupOptions, rng: np.random.Generator) -> tuple[float, bool]:
    """The share of a clip in its own mixture, and whether it is mixed by CutMix."""
    alphas = {False: options.alpha, True: options.cutmix_alpha}
    usable = [cutmix for cutmix, alpha in alphas.items() if alpha > 0]
    if not usable or rng.random() >= options.prob:
        return 1.0, False
    cutmix = rng.random() < options.switch_prob if len(usable) == 2 else usable[0]
    return float(rng.beta(alphas[cutmix], alphas[cutmix])), cutmix


def cutmix_box(height: int, width: int, lam: float, rng: np.random.Generator) -> Box:
    """A box of 1 - lam of the frame around a uniform centre, cut off at the frame's edge."""
    ratio = (1 - lam) ** 0.5
    h, w = int(height * ratio), int(width * ratio)
    y, x = int(rng.integers(height)), int(rng.integers(width))
    top, left = max(y - h // 2, 0), max(x - w // 2, 0)
    bottom, right = min(y + (h + 1) // 2, height), min(x + (w + 1) // 2, width)
    return Box(top, left, bottom - top, right - left)


def _cutmix(clip_BCTHW: Tensor, lam: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    height, width = clip_BCTHW.shape[-2:]
    top, left, h, w = cutmix_box(height, width, lam, rng)
    inside = (..., slice(top, top + h), slice(left, left + w))
    mixed = clip_BCTHW.clone()
    mixed[inside] = clip_BCTHW.flip(0)[inside]
    return mixed, 1 - h * w / (height * width)
