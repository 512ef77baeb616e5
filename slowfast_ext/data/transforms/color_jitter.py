"""Colour jitter and grey clips, one draw for all frames. Shapes: clip_TCHW uint8 RGB."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from slowfast_ext.data.transforms import photometric


@dataclass(frozen=True)
class ColorJitter:
    """With `prob`, brightness, contrast and saturation times U(1 - s, 1 + s), in random order."""

    strength: float
    prob: float

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """Perhaps a jittered clip."""
        if rng.random() >= self.prob:
            return clip_TCHW
        blends = (photometric.brightness, photometric.contrast, photometric.color)
        for which in rng.permutation(len(blends)):
            factor = rng.uniform(max(0.0, 1 - self.strength), 1 + self.strength)
            clip_TCHW = blends[which](clip_TCHW, factor)
        return clip_TCHW


@dataclass(frozen=True)
class Grayscale:
    """Grey values in all three channels, with probability `prob`."""

    prob: float

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """Perhaps a grey clip."""
        return photometric.color(clip_TCHW, 0.0) if rng.random() < self.prob else clip_TCHW
