"""A block of its own: attention and MLP side by side on one norm (as in PaLM)."""

from torch import Tensor

from slowfast_ext.models.attention import Grid, build_attention
from slowfast_ext.models.blocks import BLOCKS, Block, BlockSpec


@BLOCKS.register("parallel")
class Parallel(Block):
    """x + attn(norm1(x)) + mlp(norm2(x))."""

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__(spec, build_attention("joint", spec.attention))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        side_by_side = self.ls1(self.attn(self.norm1(x_BNC), grid)) + self.mlp(self.norm2(x_BNC))
        return x_BNC + self.drop_path1(side_by_side)
