"""TimeSformer's divided attention: over time without the class token, then over space with a copy of it a frame.

Shapes: B batch, N tokens (prefix P first, then time-major), C channels.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.space import Space, Time
from slowfast_ext.models.blocks.base import BLOCKS, BlockSpec, TimeAndSpace


@BLOCKS.register("timesformer")
class TimeSformerBlock(TimeAndSpace):
    """patches + fc(time(norm(patches))), then + space(norm(.)), in which the class token is averaged over its copies.

    Both steps have stochastic depth, that over time before its `temporal_fc` (as published; there a frame or a
    position is dropped, here a clip). The step over time starts at zero, by `temporal_fc`.
    Cost: of Space and of Time, and N*C^2.
    """

    def __init__(self, spec: BlockSpec) -> None:
        nn.Module.__init__(self)
        self._add_attention(spec, Space(spec.attention))
        self._add_temporal_attention(spec, Time(spec.attention))
        self.temporal_fc = nn.Linear(spec.attention.dim, spec.attention.dim)
        self._add_mlp(spec)

    def init_weights(self) -> None:
        """An image's weights in `attn` and `mlp` make the block see every frame as an image."""
        for parameter in self.temporal_fc.parameters():
            nn.init.zeros_(parameter)

    def attend(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        prefix, patches = x_BNC.tensor_split([grid.prefix], dim=1)
        moved = self.over_time(patches, replace(grid, prefix=0))
        patches = patches + self.temporal_fc(self.drop_path1(moved))
        x_BNC = torch.cat([prefix, patches], dim=1)
        return x_BNC + self.drop_path1(self.over_space(x_BNC, grid))
