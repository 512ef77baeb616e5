"""The transforms of a training clip in the published order.

RandAugment or AutoAugment at the decoded size, then crop, flip, colour jitter, grey, erasing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.config import options_of
from slowfast_ext.data.transforms.augmented_crop import AugmentedCrop, parse_policy
from slowfast_ext.data.transforms.color_jitter import ColorJitter, Grayscale
from slowfast_ext.data.transforms.device import PixelOptions
from slowfast_ext.data.transforms.erasing import RandomErasing
from slowfast_ext.data.transforms.flip import HorizontalFlip
from slowfast_ext.data.transforms.resize_crop import (
    USUAL_ASPECTS,
    CropOptions,
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
    """Augmentation of a training clip beyond crop and flip."""

    enable: bool = option(True, "augment beyond crop and flip; the keys below")
    num_sample: int = option(
        1, "augmented clips from one decoded video (repeated augmentation)", unit="clips", low=1
    )
    repeated_draws: int = option(
        1,
        "draws of a video in an epoch, each augmented anew; the epoch is as long as ever and has fewer videos (DeiT: 3)",
        unit="draws",
        low=1,
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


def train_transform(
    crop: CropOptions = CropOptions(),
    aug: AugOptions = AugOptions(),
    pixels: PixelOptions = PixelOptions(),
) -> Compose:
    """Decoded clip -> [T, C, H, W] of `crop.train_crop_size`. Raises ConfigError for an unknown policy."""
    steps: list[ClipTransform] = [random_crop(crop)]
    if aug.enable and aug.aa_type:
        policy = parse_policy(aug.aa_type)
        steps = [AugmentedCrop(policy, aug.interpolation, random_crop(crop))]
    if crop.random_flip:
        steps.append(HorizontalFlip())
    if aug.enable and aug.color_jitter:
        steps.append(ColorJitter(aug.color_jitter, aug.color_jitter_prob))
    if aug.enable and aug.grayscale:
        steps.append(Grayscale(aug.grayscale))
    if aug.enable and aug.re_prob:
        # Clips are RGB, mean and std in the model's order of channels.
        order = -1 if pixels.channel_order == "bgr" else 1
        mean, std = pixels.mean[::order], pixels.std[::order]
        steps.append(RandomErasing(aug.re_prob, aug.re_mode, mean, std, aug.re_count))
    return Compose(steps)


def train_transform_from(cfg: CfgNode) -> Compose:
    """The transform that DATA and AUG of a configuration name."""
    crop, aug = options_of(cfg, CropOptions), options_of(cfg, AugOptions)
    return train_transform(crop, aug, options_of(cfg, PixelOptions))


def random_crop(options: CropOptions) -> RandomCrop:
    """Multi-scale or random-resized crop where its key is given, else short-side jitter."""
    size, resize = options.train_crop_size, Resize(options.interpolation, options.antialias)
    if options.train_multi_scale_crop:
        # TSN, XViT and VideoMAE crop images of PIL, whose resize always averages.
        return MultiScaleCrop(size, options.train_multi_scale_crop, Resize(resize.mode))
    if options.train_jitter_scales_relative:
        low, high = options.train_jitter_scales_relative
        ratio = options.train_jitter_aspect_relative or USUAL_ASPECTS
        return RandomResizedCrop(size, (low, high), (ratio[0], ratio[1]), resize)
    shortest, longest = options.train_jitter_scales
    return JitterCrop(size, shortest, longest, options.inv_uniform_sample, resize)
