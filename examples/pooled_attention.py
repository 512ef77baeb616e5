"""An attention variant in one file: keys and values are averaged over squares of tokens, as in pyramid transformers.

Nothing else has to be edited: name the file in IMPORT and the variant in ATTENTION.CYCLE.

    slowfast-ext train --cfg exp/motion_vit_joint/config.yaml IMPORT "[examples/pooled_attention.py]" \
        ATTENTION.CYCLE "['pooled']" ATTENTION.POOLED.STRIDE 2

Shapes: B batch, N queries, M keys, C channels, h heads, D head dim, T H W grid of patch tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from slowfast_ext.models.attention import ATTENTION, AttentionSpec, Grid
from slowfast_ext.models.attention.base import KernelAttention
from slowfast_ext.options import Options, option, section


@section("ATTENTION.POOLED", "Attention to averaged keys and values, the variant `pooled`")
@dataclass(frozen=True)
class PooledOptions(Options):
    """How many tokens become one key."""

    stride: int = option(2, "side of the squares that are averaged", unit="tokens", low=1)


@ATTENTION.register("pooled", PooledOptions)
class Pooled(KernelAttention):
    """Joint attention of all tokens to averages of the keys. Cost: 4*N*C^2 + 2*N*M*C, M about N / STRIDE^2."""

    def __init__(self, spec: AttentionSpec, options: PooledOptions = PooledOptions()) -> None:
        self.stride = options.stride
        super().__init__(spec, key_grid=self._key_grid(spec.grid))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        q, k, v = self.apply_steps(*self.split_heads(x_BNC), grid)
        k, v = self._pooled(k, grid), self._pooled(v, grid)
        return self.merge_heads(self.kernel.attend(q, k, v, grid, self._key_grid(grid)))

    def _pooled(self, x_BhND: Tensor, grid: Grid) -> Tensor:
        """[B, h, prefix + T*H*W, D] -> [B, h, prefix + T*H'*W', D]; prefix tokens stay as they are."""
        prefix, patches = x_BhND.tensor_split([grid.prefix], dim=2)
        x_EDTHW = patches.flatten(0, 1).mT.unflatten(2, (grid.t, grid.h, grid.w))
        size = (1, self.stride, self.stride)
        y_EDTHW = avg_pool3d(x_EDTHW, size, ceil_mode=True, count_include_pad=False)
        pooled = y_EDTHW.flatten(2).mT.unflatten(0, x_BhND.shape[:2])
        return torch.cat([prefix, pooled], dim=2)

    def _key_grid(self, grid: Grid) -> Grid:
        h, w = (-(-side // self.stride) for side in (grid.h, grid.w))
        return Grid(grid.t, h, w, grid.prefix, grid.framewise)


if __name__ == "__main__":
    import slowfast_ext

    model = slowfast_ext.create_model(
        "joint_b", settings={"ATTENTION.CYCLE": ["pooled"], "VIT.DEPTH": 2}
    )
    print(model(torch.randn(1, 3, 16, 224, 224)).shape)
