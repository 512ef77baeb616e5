"""Attention within frames, and attention over time at each position of the frame (ViViT, TimeSformer).

Shapes: B batch, N tokens, C channels, T frames, F tokens of a frame with its prefix, h heads, D head dim.
"""

from torch import Tensor

from slowfast_ext.models.attention.base import ATTENTION, AttentionSpec, Grid, KernelAttention
from slowfast_ext.models.attention.frames import from_frames, from_lines, to_frames, to_lines


@ATTENTION.register("space")
class Space(KernelAttention):
    """Every frame on its own: its tokens meet one another (space-only attention).

    Prefix tokens: see frames.py. Cost: 4*N*C^2 + 2*T*F^2*C with the softmax kernel.
    """

    def __init__(self, spec: AttentionSpec) -> None:
        super().__init__(spec, key_grid=_frame(spec.grid))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        qkv = self.apply_steps(*self.split_heads(x_BNC), grid)
        q, k, v = (to_frames(x, grid) for x in qkv)  # [B*T, h, F, D]
        y = self.kernel.attend(q, k, v, _frame(grid), _frame(grid))
        return self.merge_heads(from_frames(y, grid))


class Time(KernelAttention):
    """Every position of the frame on its own, over time; a prefix token meets itself in the other frames.

    Cost: 4*N*C^2 + 2*F*T^2*C with the softmax kernel.
    """

    def __init__(self, spec: AttentionSpec) -> None:
        super().__init__(spec, key_grid=spec.grid.line(prefix=0))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        qkv = self.apply_steps(*self.split_heads(x_BNC), grid)
        q, k, v = (to_lines(x, grid) for x in qkv)  # [B*F, h, T, D]
        line = grid.line(prefix=0)
        return self.merge_heads(from_lines(self.kernel.attend(q, k, v, line, line), grid))


def _frame(grid: Grid) -> Grid:
    return grid.frame(grid.frame_prefix)
