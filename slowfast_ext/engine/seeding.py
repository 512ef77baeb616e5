"""Seeds as pure functions of where a run is, so that a resumed run draws what an unbroken one draws."""

import numpy as np
import torch


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
