"""Attention within frames, and attention over time at each position of the frame (ViViT, TimeSformer).

Shapes: B batch, N tokens, C channels, T frames, F tokens of a frame with its prefix, h heads, D head dim.
"""

from torch import Tensor

from slowfast_ext.models.attention.base import ATTENTION, AttentionSpec, Grid, KernelAttention
from slowfast_ext.models.attention.frames import (
    by_frame,
    from_frames,
    from_lines,
    prefix_first,
    to_frames,
    to_lines,
)


@ATTENTION.register("space")
class Space(KernelAttention):
    """Every frame on its own: its tokens meet one another (space-only attention).

    Where every frame has prefix tokens of its own, the input is brought into rows of frames and the output back: fewer
    copies than of queries, keys and values each, which is the reference form. Prefix tokens: see frames.py.
    Cost: 4*N*C^2 + 2*T*F^2*C with the softmax kernel.
    """

    def __init__(self, spec: AttentionSpec) -> None:
        super().__init__(spec, key_grid=_frame(spec.grid))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        if self.keeps_order or self._asks_for_places() or not grid.framewise:
            return self._attend(x_BNC, grid, _frame(grid))
        x_BTFC = by_frame(x_BNC, grid)
        rows = Grid(grid.t, x_BTFC.shape[2], 1)  # class tokens among the others of their frame
        y_BNC = self._attend(x_BTFC.flatten(1, 2), rows, _frame(grid))
        return prefix_first(y_BNC.unflatten(1, (grid.t, -1)), grid.frame_prefix)

    def _asks_for_places(self) -> bool:
        """Whether a step on queries, keys and values tells rows, columns and class tokens of a frame apart."""
        return self.neighbour is not None or self.rotary is not None

    def _attend(self, x_BNC: Tensor, grid: Grid, frame: Grid) -> Tensor:
        """`grid` is the order of the tokens, `frame` what they are to the kernel."""
        qkv = self.apply_steps(*self.split_heads(x_BNC), grid)
        q, k, v = (to_frames(x, grid) for x in qkv)  # [B*T, h, F, D]
        return self.merge_heads(from_frames(self.kernel.attend(q, k, v, frame, frame), grid))


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
