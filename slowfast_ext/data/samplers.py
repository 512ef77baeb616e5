"""Which videos a rank sees, in which order: pure functions of seed, epoch, step, rank and world.

A global batch is the same set of videos whatever the number of ranks; a rank takes its slice of it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_ext.data.seeds import order_rng
from slowfast_ext.errors import ConfigError


class Draw(NamedTuple):
    """A training item: a video in an epoch. `occurrence` counts its earlier draws in that epoch."""

    epoch: int
    index: int  # type: ignore[assignment]
    occurrence: int = 0


def steps_per_epoch(num_videos: int, batch: int) -> int:
    """Whole global batches in an epoch; a list smaller than a batch is repeated to fill one."""
    return max(1, num_videos // batch)


def train_batches(
    num_videos: int,
    batch: int,
    seed: int,
    epoch: int,
    rank: int = 0,
    world: int = 1,
    first_step: int = 0,
    classes: Sequence[int] | None = None,
    repeats: int = 1,
) -> Iterator[list[Draw]]:
    """This rank's part of each global batch of `batch` videos, from `first_step` on.

    `classes` (the class of each video) asks for all classes equally often. `repeats` draws each video of an epoch so
    often, in one batch but far apart in it; an epoch of the same length has fewer of them (DeiT's repeated
    augmentation). The rest of the videos that does not fill a batch is left out of the epoch. Raises ConfigError where ranks cannot share a batch.
    """
    if batch % world:
        raise ConfigError(
            f"TRAIN.BATCH_SIZE: {batch} videos a step cannot be shared equally by {world} processes"
        )
    draws = _draws(num_videos, batch, seed, epoch, classes, repeats)
    share = batch // world
    for step in range(first_step, steps_per_epoch(num_videos, batch)):
        start = step * batch + rank * share
        yield draws[start : start + share]


def eval_shard(num_videos: int, rank: int = 0, world: int = 1) -> range:
    """This rank's videos: every video belongs to exactly one rank, nothing is padded."""
    return range(rank, num_videos, world)


def _draws(
    num_videos: int,
    batch: int,
    seed: int,
    epoch: int,
    classes: Sequence[int] | None,
    repeats: int,
) -> list[Draw]:
    length = steps_per_epoch(num_videos, batch) * batch
    distinct = -(-length // repeats)
    rng = order_rng(seed, epoch)
    if classes is None:
        order = _cycle(np.arange(num_videos), distinct, rng)
    else:
        order = _balanced(np.asarray(classes), distinct, rng)
    order = np.repeat(order, repeats)[:length]
    if (
        repeats > 1
    ):  # ranks take slices of a batch: its repeats go to different ones, as DeiT's sampler has it
        apart = np.concatenate([np.arange(first, batch, repeats) for first in range(repeats)])
        order = order.reshape(-1, batch)[:, apart].reshape(-1)
    seen: dict[int, int] = {}
    draws = []
    for index in order.tolist():
        draws.append(Draw(epoch, index, seen.get(index, 0)))
        seen[index] = seen.get(index, 0) + 1
    return draws


def _cycle(items: NDArray[np.int64], length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Shuffled passes over the items, one after the other, `length` in all."""
    passes = -(-length // len(items))
    return np.concatenate([rng.permutation(items) for _ in range(passes)])[:length]


def _balanced(
    classes: NDArray[np.int64], length: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Shuffled passes over the classes, each position taken by the next video of a shuffled class."""
    class_at = _cycle(np.unique(classes), length, rng)
    order = np.empty(length, np.int64)
    for label in np.unique(class_at):
        positions = np.flatnonzero(class_at == label)
        order[positions] = _cycle(np.flatnonzero(classes == label), len(positions), rng)
    return order
