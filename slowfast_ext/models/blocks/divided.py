"""Divided space-time attention: over time, then over space (TimeSformer; Motionformer, Eq. 3).

Shapes: B batch, N tokens, C channels.
"""

from torch import Tensor, nn

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.grouped import Grouped
from slowfast_ext.models.blocks.base import BLOCKS, BlockSpec, TimeAndSpace


class DividedAttention(TimeAndSpace):
    """Attention over the frames of a position, and over the positions of a frame; every group sees the class token."""

    def __init__(self, spec: BlockSpec) -> None:
        nn.Module.__init__(self)
        self._add_temporal_attention(spec, Grouped(spec.attention, over_time=True))
        self._add_attention(spec, Grouped(spec.attention, over_time=False))
        self._add_mlp(spec)


@BLOCKS.register("divided")
class Divided(DividedAttention):
    """x + time(norm(x)), then + drop_path(space(norm(.))): as published, the step over time is never dropped.

    Cost: both steps, see Grouped.
    """

    def attend(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        x_BNC = x_BNC + self.over_time(x_BNC, grid)
        return x_BNC + self.drop_path1(self.over_space(x_BNC, grid))


@BLOCKS.register("split")
class Split(DividedAttention):
    """UniFormer's: t = x + time(norm(x)); result x + space(norm(t)).

    The residual of the spatial step is x, not t: attention over time reaches the result through the input of
    attention over space alone. Cost: both steps, see Grouped.
    """

    def init_weights(self) -> None:
        """The branch over time starts at zero, by its projection.

        The published code zeroes queries, keys and values and fills the projection with ones: the same function,
        but all channels of a token shift alike, which the next norm undoes, so that no gradient comes back.
        """
        assert isinstance(self.temporal_attn, Grouped)
        for parameter in self.temporal_attn.proj.parameters():
            nn.init.zeros_(parameter)

    def attend(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        t_BNC = x_BNC + self.drop_path1(self.over_time(x_BNC, grid))
        return x_BNC + self.drop_path1(self.over_space(t_BNC, grid))
