"""Mirroring. Shapes: clip_TCHW uint8."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirror the whole clip with probability `prob`."""

    prob: float = 0.5

    def draw(self, rng: np.random.Generator) -> bool:
        """Whether a clip is mirrored."""
        return bool(rng.random() < self.prob)

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """Perhaps a mirrored clip."""
        return clip_TCHW.flip(-1) if self.draw(rng) else clip_TCHW
