"""Where randomness comes from: pure functions of seed, epoch, video and repeat (of the data), or step (of the model).

No worker, rank, earlier sample or global generator has a say, so the same sample has the same
pixels in any run, and a resumed run draws what an unbroken one would have drawn.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import count

import numpy as np
import torch


class Stream(IntEnum):
    """What the numbers are for: different streams of one sample are independent."""

    AUGMENT = 0
    FRAMES = 1
    REPLACE = 2
    ORDER = 3
    MIX = 4
    TASK = 5


def sample_rng(
    seed: int, epoch: int, index: int, repeat: int = 0, stream: Stream = Stream.AUGMENT
) -> np.random.Generator:
    """Generator of video `index` in `epoch`; `repeat` counts its augmented copies in that epoch."""
    entropy = np.random.SeedSequence((seed, epoch, index, repeat), spawn_key=(int(stream),))
    return np.random.Generator(np.random.PCG64(entropy))


def order_rng(seed: int, epoch: int) -> np.random.Generator:
    """Generator of the order of videos in `epoch`."""
    return sample_rng(seed, epoch, 0, stream=Stream.ORDER)


def clip_rngs(seed: int, epoch: int, number: int, first: int = 0) -> Iterator[np.random.Generator]:
    """A generator for what a task draws for each clip of batch `number`, from clip `first` of all ranks on."""
    for position in count(first):
        yield sample_rng(seed, epoch, number, position, Stream.TASK)


def view_rngs(videos: Iterable[int], views: int) -> Iterator[np.random.Generator]:
    """The same for each view of each video of an evaluation: always the same draws, whatever the seed of the run."""
    for video in videos:
        for view in range(views):
            yield sample_rng(0, 0, video, view, Stream.TASK)


def step_rng(seed: int, epoch: int, step: int) -> np.random.Generator:
    """Generator of what is drawn once for the batch of a step, the same on every rank."""
    return sample_rng(seed, epoch, step, stream=Stream.MIX)


def derived_seed(*numbers: int) -> int:
    """A 63-bit seed that mixes the numbers."""
    state = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    return int(state[0]) << 31 | int(state[1]) >> 1


def seed_step(seed: int, epoch: int, step: int, rank: int) -> None:
    """Seed torch for the dropout and drop path of one step."""
    torch.manual_seed(derived_seed(seed, epoch, step, rank, 1))


def seed_model(seed: int) -> None:
    """Seed torch for the initial weights, the same in every process."""
    torch.manual_seed(derived_seed(seed, 0))
