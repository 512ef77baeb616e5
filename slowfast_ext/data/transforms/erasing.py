"""Random erasing (Zhong et al., 2017), one box for all frames. Shapes: clip_TCHW uint8.

The published pipelines fill the box with N(0, 1) after normalisation. Here it is filled before, with
N(MEAN, STD) in pixel values, so that a batch stays bytes until it is on the device; bytes cut the
noise off at black and white, two standard deviations out for the usual 0.45 and 0.225.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slowfast_ext.data.transforms.box import Box


@dataclass(frozen=True)
class RandomErasing:
    """With `prob`, fill `count` boxes of `area` (fraction of the frame, shared by the boxes).

    `mode`: "pixel" noise for each frame, pixel and channel; "rand" one noise colour a box;
    "const" the mean colour. `mean` and `std` are RGB, for pixels in [0, 1].
    """

    prob: float
    mode: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: int = 1
    area: tuple[float, float] = (0.02, 1 / 3)
    ratio: tuple[float, float] = (0.3, 1 / 0.3)
    tries: int = 100

    def box(self, height: int, width: int, rng: np.random.Generator) -> Box | None:
        """A box smaller than the frame, or None after `tries` misfits."""
        low, high = (math.log(bound) for bound in self.ratio)
        for _ in range(self.tries):
            area = height * width * rng.uniform(*self.area) / self.count
            ratio = math.exp(rng.uniform(low, high))
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if h < height and w < width:
                top = int(rng.integers(0, height - h, endpoint=True))
                return Box(top, int(rng.integers(0, width - w, endpoint=True)), h, w)
        return None

    def fill(self, shape_THWC: tuple[int, ...], rng: np.random.Generator) -> Tensor:
        """Bytes for a box; leading dimensions of size 1 are the same everywhere."""
        shape = shape_THWC if self.mode == "pixel" else (1, 1, 1, shape_THWC[-1])
        noise = np.zeros(shape, np.float32)
        if self.mode != "const":
            rng.standard_normal(dtype=np.float32, out=noise)
        pixels = 255 * (np.array(self.mean, np.float32) + np.array(self.std, np.float32) * noise)
        return torch.from_numpy(pixels.round().clip(0, 255).astype(np.uint8))

    def __call__(self, clip_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
        """Perhaps a copy with erased boxes."""
        if rng.random() >= self.prob:
            return clip_TCHW
        clip_TCHW = clip_TCHW.clone()
        frames, channels, height, width = clip_TCHW.shape
        for _ in range(self.count):
            box = self.box(height, width, rng)
            if box is not None:
                top, left, h, w = box
                filling = self.fill((frames, h, w, channels), rng).permute(0, 3, 1, 2)
                clip_TCHW[..., top : top + h, left : left + w] = filling
        return clip_TCHW
