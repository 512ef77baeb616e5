"""Attention within frames, and its composition with attention over time (ViViT, TimeSformer).

Shapes: B batch, N tokens, C channels, T frames, F tokens of a frame with its prefix, h heads, D head dim.
"""

from typing import ClassVar

from torch import Tensor, nn
from torchvision.ops import StochasticDepth
from yacs.config import CfgNode

from slowfast_ext.models.attention.base import ATTENTION, Attention, Grid, LayerSpec, build_kernel
from slowfast_ext.models.attention.frames import from_frames, from_lines, to_frames, to_lines


@ATTENTION.register("space")
class Space(Attention):
    """Every frame on its own: its tokens meet one another (space-only attention).

    Prefix tokens: see frames.py. Cost: 4*N*C^2 + 2*T*F^2*C with the softmax kernel.
    """

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__(spec, cfg)
        self.kernel = build_kernel(spec, cfg, _frame(spec.grid))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        mixed = self.mix(*self.split_heads(x_BNC), grid, self.kernel.activate)
        q, k, v = (to_frames(x, grid) for x in mixed)
        y = self.kernel.attend(q, k, v, _frame(grid), _frame(grid))
        return self.merge_heads(from_frames(y, grid))


class Time(Attention):
    """Every place of the frame on its own, over time; a prefix token meets itself in the other frames.

    Cost: 4*N*C^2 + 2*F*T^2*C with the softmax kernel.
    """

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__(spec, cfg)
        self.kernel = build_kernel(spec, cfg, spec.grid.line(prefix=0))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        mixed = self.mix(*self.split_heads(x_BNC), grid, self.kernel.activate)
        q, k, v = (to_lines(x, grid) for x in mixed)
        line = grid.line(prefix=0)
        return self.merge_heads(from_lines(self.kernel.attend(q, k, v, line, line), grid))


@ATTENTION.register("factorized")
class Factorized(nn.Module):
    """x + space(norm(x)), then + time(norm(.)), both with stochastic depth. Cost: of Space and of Time."""

    composite: ClassVar[bool] = True

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__()
        self.space_norm = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.space = Space(spec, cfg)
        self.time_norm = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.time = Time(spec, cfg)
        self.drop_path = StochasticDepth(spec.drop_path, mode="row")

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """The residual stream after both steps, [B, N, C]."""
        x_BNC = x_BNC + self.drop_path(self.space(self.space_norm(x_BNC), grid))
        return x_BNC + self.drop_path(self.time(self.time_norm(x_BNC), grid))


def _frame(grid: Grid) -> Grid:
    return grid.frame(grid.frame_prefix)
