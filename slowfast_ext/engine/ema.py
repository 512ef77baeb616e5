"""Exponential moving average of the weights (TRAIN.EMA_DECAY)."""

import copy

import torch
from torch import nn


class WeightAverage:
    """average <- decay * average + (1 - decay) * weight after each step; buffers are copied."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights of `model`."""
        own, new = (list(m.parameters()) for m in (self.model, model))
        torch._foreach_lerp_(own, new, 1.0 - self._decay)
        for buffer, fresh in zip(self.model.buffers(), model.buffers(), strict=True):
            buffer.copy_(fresh)
