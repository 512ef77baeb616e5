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
        """The temporal branch starts at zero, by its projection.

        The published code zeroes queries, keys and values and fills the projection with ones: the same function,
        but all channels of a token shift alike, which the next norm undoes, so that no gradient comes back.
        """
        for parameter in self.time.proj.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """The residual stream after both steps, [B, N, C]."""
        over_time_BNC = x_BNC + self.drop_path(self.time(self.time_norm(x_BNC), grid))
        return x_BNC + self.drop_path(self.space(self.space_norm(over_time_BNC), grid))
