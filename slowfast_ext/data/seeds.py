"""Where randomness of the data comes from: pure functions of seed, epoch, video and repeat.

No worker, rank, earlier sample or global generator has a say, so the same sample has the same
pixels in any run, and a resumed run draws what an unbroken one would have drawn.
"""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What the numbers are for: different streams of one sample are independent."""

    AUGMENT = 0
    FRAMES = 1
    REPLACE = 2
    ORDER = 3
    MIX = 4


def sample_rng(
    seed: int, epoch: int, index: int, repeat: int = 0, stream: Stream = Stream.AUGMENT
) -> np.random.Generator:
    """Generator of video `index` in `epoch`; `repeat` counts its augmented copies in that epoch."""
    entropy = np.random.SeedSequence((seed, epoch, index, repeat), spawn_key=(int(stream),))
    return np.random.Generator(np.random.PCG64(entropy))


def order_rng(seed: int, epoch: int) -> np.random.Generator:
    """Generator of the order of videos in `epoch`."""
    return sample_rng(seed, epoch, 0, stream=Stream.ORDER)


def step_rng(seed: int, epoch: int, step: int) -> np.random.Generator:
    """Generator of what is drawn once for the batch of a step, the same on every rank."""
    return sample_rng(seed, epoch, step, stream=Stream.MIX)
