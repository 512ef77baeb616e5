"""UniFormer's split attention: over time at each position, then over the space of each frame.

Shapes: B batch, T frames, S tokens of a frame, N tokens, C channels.
"""

from torch import Tensor, nn

from slowfast_ext.models.attention.base import ATTENTION
from slowfast_ext.models.attention.divided import TimeAndSpace
from slowfast_ext.models.attention.grid import Grid


@ATTENTION.register("split")
class Split(TimeAndSpace):
    """t = x + time(norm(x)); result x + space(norm(t)).

    The residual of the spatial step is x, not t: attention over time reaches the result through the input of
    attention over space alone. Cost: both steps, see Grouped.
    """

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
