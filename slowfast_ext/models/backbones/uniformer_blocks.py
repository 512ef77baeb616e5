"""UniFormer's parts: patch embedding, convolution block, attention block, on channels-last streams.

Facts: Li et al., "UniFormer: Unified Transformer for Efficient Spatiotemporal Representation Learning".
The stream stays [B, T, H, W, C] in memory, so that 1x1x1 convolutions are linear layers, layer norms need no
transposition, and BatchNorm sees a plain [N, C] matrix.

Shapes: B batch, C channels, T H W grid, N = B*T*H*W, M hidden channels.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.blocks import BlockSpec, build_block
from slowfast_ext.models.depthwise import DepthwiseConv3d
from slowfast_ext.models.layers import DropPath, Mlp, layer_scale

Kernel3d = tuple[int, int, int]


class PatchEmbed(nn.Module):
    """Strided convolution, then LayerNorm (eps 1e-5, where the blocks have 1e-6)."""

    def __init__(self, in_dim: int, dim: int, kernel: Kernel3d, stride: Kernel3d) -> None:
        super().__init__()
        self.proj = nn.Conv3d(in_dim, dim, kernel, stride, padding=(kernel[0] // 2, 0, 0))
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """[B, T, H, W, in] -> [B, T', H', W', C]; what a stride does not reach is dropped."""
        y_BCTHW = self.proj(x_BTHWC.permute(0, 4, 1, 2, 3))
        return self.norm(y_BCTHW.permute(0, 2, 3, 4, 1).contiguous())


def norm_linear(norm: nn.BatchNorm1d, layer: nn.Linear, x_NC: Tensor) -> Tensor:
    """layer(norm(x)); in evaluation the BatchNorm is folded into the weights, which saves a pass over x."""
    if norm.training or norm.running_var is None or norm.running_mean is None:
        return layer(norm(x_NC))
    scale_C = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift_C = norm.bias - norm.running_mean * scale_C
    return linear(x_NC, layer.weight * scale_C, layer.bias + layer.weight @ shift_C)


class ConvBlock(nn.Module):
    """Local relation aggregation: position, 5x5x5 depthwise mixing and MLP, each a residual step. Names are UniFormer's."""

    def __init__(
        self,
        dim: int,
        hidden: int,
        kernels: tuple[Kernel3d, Kernel3d],
        rate: float,
        scale: float = 0.0,
    ) -> None:
        """`kernels` of the position encoding and of the mixing; `rate` of stochastic depth; `scale` of layer scale, 0: none."""
        super().__init__()
        self.pos_embed = DepthwiseConv3d(dim, kernels[0])
        self.norm1 = nn.BatchNorm1d(dim)
        self.conv1 = nn.Linear(dim, dim)
        self.attn = DepthwiseConv3d(dim, kernels[1])
        self.conv2 = nn.Linear(dim, dim)
        self.norm2 = nn.BatchNorm1d(dim)
        self.mlp = Mlp(dim, hidden)
        self.ls1 = layer_scale(dim, scale)
        self.ls2 = layer_scale(dim, scale)
        self.drop_path = DropPath(rate)

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """[B, T, H, W, C] -> [B, T, H, W, C]."""
        x_BTHWC = x_BTHWC + self.pos_embed(x_BTHWC)
        y_NC = norm_linear(self.norm1, self.conv1, x_BTHWC.flatten(0, 3))
        y_BTHWC = self.conv2(self.attn(y_NC.view_as(x_BTHWC)))
        x_BTHWC = x_BTHWC + self.drop_path(self.ls1(y_BTHWC))
        y_NM = self.mlp.act(norm_linear(self.norm2, self.mlp.fc1, x_BTHWC.flatten(0, 3)))
        return x_BTHWC + self.drop_path(self.ls2(self.mlp.fc2(y_NM)).view_as(x_BTHWC))


class AttentionBlock(nn.Module):
    """Position encoding, then a transformer block with any attention on the tokens of the grid."""

    def __init__(self, name: str, spec: BlockSpec, kernel: Kernel3d) -> None:
        """`name` as in ATTENTION.CYCLE; `kernel` is that of the position encoding."""
        super().__init__()
        self.pos_embed = DepthwiseConv3d(spec.attention.dim, kernel)
        self.block = build_block(name, spec)

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """[B, T, H, W, C] -> [B, T, H, W, C]."""
        x_BTHWC = x_BTHWC + self.pos_embed(x_BTHWC)
        grid = Grid(*x_BTHWC.shape[1:4])
        return self.block(x_BTHWC.flatten(1, 3), grid).view_as(x_BTHWC)
