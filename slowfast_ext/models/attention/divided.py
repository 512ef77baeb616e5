"""Divided space-time attention: over time, then over space (TimeSformer; Motionformer, Eq. 3).

Shapes: B batch, N tokens (prefix P first, then time-major), C channels, h heads, D head dim,
T frames, S tokens of a frame, G tokens of a group.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth
from yacs.config import CfgNode

from slowfast_ext.models.attention.base import ATTENTION, Attention, Grid, LayerSpec, build_kernel
from slowfast_ext.models.attention.softmax import Softmax


class Grouped(Attention):
    """Attention within groups of patch tokens: those of a position over time, or of a frame.

    Every group also sees the keys of the prefix. The prefix queries see all tokens as they are projected,
    by exact softmax: they are few, and an approximation would save nothing.
    Cost: 4*(N + P)*C^2 + 2*N*(P + G)*C + 2*P*(N + P)*C with the softmax kernel, N patches, G = T or S.
    """

    def __init__(self, spec: LayerSpec, cfg: CfgNode, over_time: bool) -> None:
        """Groups run over time at a position, else over the positions of a frame."""
        super().__init__(spec, cfg)
        self.over_time = over_time
        self.kernel = build_kernel(spec, cfg, self.group_grid(spec.grid))
        if spec.grid.prefix:
            self.prefix_kernel = Softmax(spec, cfg, spec.grid)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        q, k, v = self.split_heads(x_BNC)
        P = grid.prefix
        rows = [self._groups(x, grid) for x in self.mix(q, k, v, grid, self.kernel.activate)]
        rows[0] = rows[0][:, :, P:]
        grids = self.group_grid(grid, prefix=0), self.group_grid(grid)
        y = self._ungroup(self.kernel.attend(*rows, *grids), grid)
        if P:
            prefix_grid = Grid(0, 0, 0, P)
            y = torch.cat([self.prefix_kernel.attend(q[:, :, :P], k, v, prefix_grid, grid), y], 2)
        return self.merge_heads(y)

    def group_grid(self, grid: Grid, prefix: int | None = None) -> Grid:
        """Layout of one group of `grid`."""
        return grid.line(prefix) if self.over_time else grid.frame(prefix)

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


class TimeAndSpace(nn.Module):
    """Two residual steps of a block, each with a norm of its own: groups over time, and groups over space."""

    composite: ClassVar[bool] = True

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__()
        self.time_norm = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.time = Grouped(spec, cfg, over_time=True)
        self.space_norm = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.space = Grouped(spec, cfg, over_time=False)
        self.drop_path = StochasticDepth(spec.drop_path, mode="row")

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """The residual stream after both steps, [B, N, C]."""
        raise NotImplementedError


@ATTENTION.register("divided")
class Divided(TimeAndSpace):
    """x + time(norm(x)), then + drop_path(space(norm(.))): as published, the time step is never dropped.

    Cost: both steps, see Grouped.
    """

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """The residual stream after both steps, [B, N, C]."""
        x_BNC = x_BNC + self.time(self.time_norm(x_BNC), grid)
        return x_BNC + self.drop_path(self.space(self.space_norm(x_BNC), grid))
