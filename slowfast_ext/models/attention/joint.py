"""Joint space-time attention: every token meets every token."""

from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.models.attention.base import ATTENTION, Attention, Grid, LayerSpec, build_kernel


@ATTENTION.register("joint")
class Joint(Attention):
    """Multi-head attention over all prefix + t*h*w tokens.

    Padding has zero queries, keys (after the feature map) and values; kernels with a softmax over the keys
    leave it out of that. Where its own outputs go is for the caller to say.
    """

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__(spec, cfg)
        self.kernel = build_kernel(spec, cfg, spec.grid)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        qkv = self.mix(*self.split_heads(x_BNC), grid, self.kernel.activate)
        q, k, v = grid.without_padding(*qkv)
        return self.merge_heads(self.kernel.attend(q, k, v, grid, grid))
