"""Attention within frames, then over time (ViViT's factorised self-attention).

Shapes: B batch, N tokens, C channels.
"""

from torch import Tensor, nn

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.space import Space, Time
from slowfast_ext.models.blocks.base import BLOCKS, BlockSpec, TimeAndSpace


@BLOCKS.register("factorized")
class Factorized(TimeAndSpace):
    """x + space(norm(x)), then + time(norm(.)), both with stochastic depth. Cost: of Space and of Time."""

    def __init__(self, spec: BlockSpec) -> None:
        nn.Module.__init__(self)
        self._add_attention(spec, Space(spec.attention))
        self._add_temporal_attention(spec, Time(spec.attention))
        self._add_mlp(spec)

    def attend(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        x_BNC = x_BNC + self.drop_path1(self.over_space(x_BNC, grid))
        return x_BNC + self.drop_path1(self.over_time(x_BNC, grid))
