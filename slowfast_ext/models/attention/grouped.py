"""Attention within groups of patch tokens: those of a position over time, or of a frame (TimeSformer, UniFormer).

Shapes: B batch, N tokens (prefix P first, then time-major), C channels, h heads, D head dim,
T frames, S tokens of a frame, G tokens of a group.
"""

import torch
from torch import Tensor

from slowfast_ext.models.attention.base import AttentionSpec, Grid, KernelAttention
from slowfast_ext.models.attention.softmax import Softmax


class Grouped(KernelAttention):
    """Attention within groups of patch tokens.

    Every group also sees the keys of the prefix. The prefix queries see all tokens as they are projected,
    by exact softmax: they are few, and an approximation would save nothing.
    Cost: 4*(N + P)*C^2 + 2*N*(P + G)*C + 2*P*(N + P)*C with the softmax kernel, N patches, G = T or S.
    """

    def __init__(self, spec: AttentionSpec, over_time: bool) -> None:
        """Groups run over time at a position, else over the positions of a frame."""
        super().__init__(spec, key_grid=_group_grid(spec.grid, over_time))
        self.over_time = over_time
        if spec.grid.prefix:
            self.prefix_kernel = Softmax(
                spec.num_heads, spec.head_dim, spec.grid, spec.attention.dropout
            )

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        q, k, v = self.split_heads(x_BNC)
        P = grid.prefix
        rows = [self._groups(x, grid) for x in self.apply_steps(q, k, v, grid)]
        rows[0] = rows[0][:, :, P:]
        grids = _group_grid(grid, self.over_time, 0), _group_grid(grid, self.over_time)
        y = self._ungroup(self.kernel.attend(rows[0], rows[1], rows[2], *grids), grid)
        if P:
            prefix_grid = Grid.placeless(P)
            y = torch.cat([self.prefix_kernel.attend(q[:, :, :P], k, v, prefix_grid, grid), y], 2)
        return self.merge_heads(y)

    def _groups(self, x_BhND: Tensor, grid: Grid) -> Tensor:
        """[B, h, P + T*S, D] -> one row a group with the prefix first, [B*groups, h, P + G, D]."""
        B, h, _, D = x_BhND.shape
        prefix, patches = x_BhND.tensor_split([grid.prefix], dim=2)
        x_BhTSD = patches.unflatten(2, (grid.t, grid.space))
        x_BghGD = x_BhTSD.permute(0, 3, 1, 2, 4) if self.over_time else x_BhTSD.transpose(1, 2)
        prefix = prefix[:, None].expand(B, x_BghGD.shape[1], h, grid.prefix, D)
        return torch.cat([prefix, x_BghGD], dim=3).flatten(0, 1)

    def _ungroup(self, y: Tensor, grid: Grid) -> Tensor:
        """Rows of groups without prefix [B*groups, h, G, D] -> time-major [B, h, T*S, D]."""
        if self.over_time:
            return y.unflatten(0, (-1, grid.space)).permute(0, 2, 3, 1, 4).flatten(2, 3)
        return y.unflatten(0, (-1, grid.t)).transpose(1, 2).flatten(2, 3)


def _group_grid(grid: Grid, over_time: bool, prefix: int | None = None) -> Grid:
    """Layout of one group of `grid`."""
    return grid.line(prefix) if over_time else grid.frame(prefix)
