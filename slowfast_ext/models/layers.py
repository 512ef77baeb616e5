"""Parts that several backbones share: residual steps, the MLP, stochastic depth, activation checkpoints.

Shapes: B batch, N tokens, C channels.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import StochasticDepth
from yacs.config import CfgNode

from slowfast_ext.models.attention import Attention, Grid, LayerSpec, build_attention


def drop_path(rate: float) -> nn.Module:
    """Stochastic depth per sample, survivors scaled by 1/(1-rate); identity for rate 0."""
    return StochasticDepth(rate, mode="row") if rate > 0 else nn.Identity()


def drop_path_rates(last: float, depth: int) -> list[float]:
    """Rates of `depth` blocks, rising linearly from 0 to `last`."""
    return torch.linspace(0, last, depth, device="cpu").tolist()


class Mlp(nn.Sequential):
    """Linear, exact GELU, Linear: [.., C] -> [.., C]."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)


class LayerScale(nn.Module):
    """A learned factor per channel on a residual branch."""

    def __init__(self, dim: int, init: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), init))

    def forward(self, x: Tensor) -> Tensor:
        """[.., C] -> [.., C]."""
        return x * self.gamma


class PreNorm(nn.Module):
    """x + drop_path(scale(layer(norm(x)))): one residual step of a transformer block."""

    def __init__(self, spec: LayerSpec, layer: nn.Module, layer_scale: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(spec.dim, eps=spec.norm_eps)
        self.layer = layer
        self.scale = LayerScale(spec.dim, layer_scale) if layer_scale > 0 else nn.Identity()
        self.drop_path = drop_path(spec.drop_path)

    def forward(self, x_BNC: Tensor, *grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]; `grid` is passed on to an attention layer."""
        return x_BNC + self.drop_path(self.scale(self.layer(self.norm(x_BNC), *grid)))


class Block(nn.Module):
    """An attention variant and an MLP on the residual stream."""

    def __init__(
        self, name: str, spec: LayerSpec, cfg: CfgNode, mlp_ratio: float, layer_scale: float = 0.0
    ) -> None:
        """`name` is a variant of the ATTENTION registry, `cfg` the ATTENTION node."""
        super().__init__()
        attention: Attention = build_attention(name, spec, cfg)
        self.attn = attention if attention.composite else PreNorm(spec, attention, layer_scale)
        self.mlp = PreNorm(spec, Mlp(spec.dim, int(spec.dim * mlp_ratio)), layer_scale)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        return self.mlp(self.attn(x_BNC, grid))


def run_blocks(blocks: Iterable[nn.Module], x: Tensor, *grid: Grid, recomputed: int = 0) -> Tensor:
    """Pass `x` through the blocks; the activations of the first `recomputed` are not kept in training."""
    for index, block in enumerate(blocks):
        if index < recomputed and block.training and torch.is_grad_enabled():
            x = checkpoint(block, x, *grid, use_reentrant=False)
        else:
            x = block(x, *grid)
    return x


def init_transformer(std: float) -> Callable[[nn.Module], None]:
    """For `model.apply`: truncated normal of `std` for linear weights, zero biases.

    A layer that starts otherwise has a method `init_weights`, which has the last word on its parameters, as
    `apply` comes to parents last.
    """

    def init(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif hasattr(module, "init_weights"):
            module.init_weights()

    return init
