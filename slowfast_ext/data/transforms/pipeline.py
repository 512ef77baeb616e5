"""The transforms of a training clip in the published order, built from the configuration.

RandAugment or AutoAugment at the decoded size, then crop, flip, colour jitter, grey, erasing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.data.transforms.augmented_crop import AugmentedCrop, parse_policy
from slowfast_ext.data.transforms.color_jitter import ColorJitter, Grayscale
from slowfast_ext.data.transforms.erasing import RandomErasing
from slowfast_ext.data.transforms.flip import HorizontalFlip
from slowfast_ext.data.transforms.resize_crop import (
    JitterCrop,
    MultiScaleCrop,
    RandomCrop,
    RandomResizedCrop,
    Resize,
)
from slowfast_ext.options import Options, option, section


@section("AUG", "Augmentation of a training clip")
@dataclass(frozen=True)
class AugOptions(Options):
    """Augmentation of a training clip: the section AUG."""

    enable: bool = option(True, "augment beyond crop and flip; the keys below")
    num_sample: int = option(
        1, "augmented clips from one decoded video (repeated augmentation)", unit="clips", low=1
    )
    aa_type: str = option(
        "",
        "RandAugment or AutoAugment in timm's syntax: rand-m7-n4-mstd0.5-inc1, v0, original; empty: off",
    )
    interpolation: str = option(
        "bicubic", "interpolation of geometric operations", choices=("bilinear", "bicubic")
    )
    color_jitter: float = option(
        0.0, "strength of brightness, contrast and saturation jitter; 0: off", low=0
    )
    color_jitter_prob: float = option(0.8, "probability of the colour jitter", low=0, high=1)
    grayscale: float = option(0.0, "probability of a grey clip", low=0, high=1)
    re_prob: float = option(0.0, "probability of random erasing", low=0, high=1)
    re_mode: str = option(
        "pixel",
        "what an erased box is filled with: noise per pixel, one noise colour, or zero",
        choices=("pixel", "rand", "const"),
    )
    re_count: int = option(1, "erased boxes", low=1)


class ClipTransform(Protocol):
    """uint8 [T, C, H, W] -> uint8 [T, C, H', W'], drawing from the generator alone."""

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """The transformed clip; the given one is not written to."""
        ...


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[ClipTransform]) -> None:
        self.transforms = tuple(transforms)

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """The clip after all transforms."""
        for transform in self.transforms:
            clip_TCHW = transform(clip_TCHW, rng)
        return clip_TCHW


def train_transform(cfg: CfgNode) -> Compose:
    """Decoded clip -> [T, C, S, S] with S = DATA.TRAIN_CROP_SIZE. Raises ConfigError."""
    aug = cfg.AUG
    return Compose(
        [
            augmented_crop(cfg) if _on(aug.AA_TYPE, cfg) else random_crop(cfg),
            *([HorizontalFlip()] if cfg.DATA.RANDOM_FLIP else []),
            *(
                [ColorJitter(aug.COLOR_JITTER, aug.COLOR_JITTER_PROB)]
                if _on(aug.COLOR_JITTER, cfg)
                else []
            ),
            *([Grayscale(aug.GRAYSCALE)] if _on(aug.GRAYSCALE, cfg) else []),
            *([erasing(cfg)] if _on(aug.RE_PROB, cfg) else []),
        ]
    )


def _on(value: str | float, cfg: CfgNode) -> bool:
    return bool(cfg.AUG.ENABLE and value)


def augmented_crop(cfg: CfgNode) -> AugmentedCrop:
    """AUG.AA_TYPE before the random crop."""
    return AugmentedCrop(parse_policy(cfg.AUG.AA_TYPE), cfg.AUG.INTERPOLATION, random_crop(cfg))


def random_crop(cfg: CfgNode) -> RandomCrop:
    """Multi-scale or random-resized crop where its key is given, else short-side jitter."""
    data = cfg.DATA
    if data.TRAIN_MULTI_SCALE_CROP:
        return MultiScaleCrop(data.TRAIN_CROP_SIZE, tuple(data.TRAIN_MULTI_SCALE_CROP), resize(cfg))
    if data.TRAIN_JITTER_SCALES_RELATIVE:
        ratio = data.TRAIN_JITTER_ASPECT_RELATIVE or (3 / 4, 4 / 3)
        scale = data.TRAIN_JITTER_SCALES_RELATIVE
        return RandomResizedCrop(data.TRAIN_CROP_SIZE, tuple(scale), tuple(ratio), resize(cfg))
    low, high = data.TRAIN_JITTER_SCALES
    inverse = data.INV_UNIFORM_SAMPLE
    return JitterCrop(data.TRAIN_CROP_SIZE, low, high, inverse, resize(cfg))


def resize(cfg: CfgNode) -> Resize:
    """How training and testing resample frames."""
    return Resize(cfg.DATA.INTERPOLATION, cfg.DATA.ANTIALIAS)


def erasing(cfg: CfgNode) -> RandomErasing:
    """Random erasing; MEAN and STD are in the model's channel order, clips are RGB."""
    turn = -1 if cfg.DATA.CHANNEL_ORDER == "bgr" else 1
    mean, std = tuple(cfg.DATA.MEAN[::turn]), tuple(cfg.DATA.STD[::turn])
    return RandomErasing(cfg.AUG.RE_PROB, cfg.AUG.RE_MODE, mean, std, cfg.AUG.RE_COUNT)
