"""Augmentation at the decoded size, then a random crop: as published, without work on pixels that the crop drops."""

from typing import Protocol

import numpy as np
from torch import Tensor

from slowfast_ext.data.transforms.autoaugment import parse_autoaugment
from slowfast_ext.data.transforms.box import Box
from slowfast_ext.data.transforms.operations import Step, apply_steps
from slowfast_ext.data.transforms.randaugment import parse_randaugment
from slowfast_ext.data.transforms.resize_crop import RandomCrop


class Policy(Protocol):
    """What is done to a clip, drawn anew for each."""

    def draw(self, rng: np.random.Generator) -> list[Step]:
        """The operations that are applied, in order."""
        ...


def parse_policy(text: str) -> Policy:
    """The policy that a string of timm's syntax names. Raises ConfigError."""
    return parse_randaugment(text) if text.startswith("rand") else parse_autoaugment(text)


class AugmentedCrop:
    """uint8 [T, C, H, W] -> [T, C, H', W'], drawing the operations and then the crop.

    Reference: `apply_steps` on whole frames followed by the crop.
    """

    def __init__(self, policy: Policy, interpolation: str, crop: RandomCrop) -> None:
        self.policy, self.interpolation, self.crop = policy, interpolation, crop

    def draw(self, height: int, width: int, rng: np.random.Generator) -> tuple[list[Step], Box]:
        """The operations on frames of a size, and the box of the result that is the crop."""
        return self.policy.draw(rng), self.crop.box(height, width, rng)

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """The augmented crop at its final size."""
        steps, box = self.draw(clip_TCHW.shape[-2], clip_TCHW.shape[-1], rng)
        return self.crop.resized(apply_steps(clip_TCHW, steps, self.interpolation, box))
