"""Joint space-time attention: every token meets every token."""

from torch import Tensor

from slowfast_ext.models.attention.base import ATTENTION, AttentionSpec, Grid, KernelAttention


@ATTENTION.register("joint")
class Joint(KernelAttention):
    """Multi-head attention over all prefix + t*h*w tokens."""

    def __init__(self, spec: AttentionSpec) -> None:
        super().__init__(spec, key_grid=spec.grid)

    def forward(self, x_BNC: Tensor, grid: Grid, valid_BN: Tensor | None = None) -> Tensor:
        """[B, N, C] -> [B, N, C].

        `valid_BN` marks the tokens that are no padding. Padding has zero queries, keys (after the feature map) and
        values, and softmax over the keys leaves it out; its own outputs are for the caller to drop.
        """
        q, k, v = self.apply_steps(*self.split_heads(x_BNC), grid)
        if valid_BN is not None:
            q, k, v = (x * valid_BN[:, None, :, None].to(x.dtype) for x in (q, k, v))
        return self.merge_heads(self.kernel.attend(q, k, v, grid, grid, valid_BN))
