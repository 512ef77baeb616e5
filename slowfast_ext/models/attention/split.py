"""UniFormer's split attention: over time at each position, then over the space of each frame.

Shapes: B batch, T frames, S tokens of a frame, N tokens, C channels.
"""

from typing import ClassVar

from torch import Tensor, nn
from torchvision.ops import StochasticDepth
from yacs.config import CfgNode

from slowfast_ext.models.attention.base import ATTENTION
from slowfast_ext.models.attention.divided import Grouped
from slowfast_ext.models.attention.grid import Grid, LayerSpec


@ATTENTION.register("split")
class Split(nn.Module):
    """t = x + time(norm(x)); result x + space(norm(t)).

    The residual of the spatial step is x, not t: attention over time reaches the result through the input of
    attention over space alone. Cost: both steps, see Grouped.
    """

    composite: ClassVar[bool] = True

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__()
        self.time_norm = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.time = Grouped(spec, cfg, over_time=True)
        self.space_norm = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.space = Grouped(spec, cfg, over_time=False)
        self.drop_path = StochasticDepth(spec.drop_path, mode="row")

    def init_weights(self) -> None:
        """The temporal branch starts at exactly zero: queries, keys and values 0, projection all ones."""
        for parameter in (*self.time.qkv.parameters(), self.time.proj.bias):
            nn.init.zeros_(parameter)
        nn.init.ones_(self.time.proj.weight)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """The residual stream after both steps, [B, N, C]."""
        over_time_BNC = x_BNC + self.drop_path(self.time(self.time_norm(x_BNC), grid))
        return x_BNC + self.drop_path(self.space(self.space_norm(over_time_BNC), grid))
