"""The pre-norm transformer block, for any attention layer.

Shapes: B batch, N tokens, C channels.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import ATTENTION, AttentionSpec, Grid, build_attention
from slowfast_ext.models.layers import DropPath, Mlp, layer_scale
from slowfast_ext.registry import Registry, unknown_name

BLOCKS = Registry("BLOCKS")


@dataclass(frozen=True)
class BlockSpec:
    """What a backbone tells a block.

    `drop_path` is the rate of stochastic depth, `layer_scale` 0: none, `norm` and `act` make its norms and the activation of the MLP.
    """

    attention: AttentionSpec
    mlp_ratio: float = 4.0
    drop_path: float = 0.0
    layer_scale: float = 0.0
    norm_eps: float = 1e-6
    act: Callable[[], nn.Module] = nn.GELU
    norm: Callable[..., nn.Module] = nn.LayerNorm

    def build_norm(self) -> nn.Module:
        """A norm of the block's width."""
        return self.norm(self.attention.dim, eps=self.norm_eps)


class Block(nn.Module):
    """x + attn(norm1(x)), then + mlp(norm2(x)); each branch with layer scale and stochastic depth.

    Blocks with further attention steps derive from it and register as `@BLOCKS.register("name")`; they are
    constructed with the BlockSpec and the options that they were registered with.
    """

    def __init__(self, spec: BlockSpec, attn: nn.Module) -> None:
        super().__init__()
        self._add_attention(spec, attn)
        self._add_mlp(spec)

    def _add_attention(self, spec: BlockSpec, attn: nn.Module) -> None:
        self.norm1 = spec.build_norm()
        self.attn = attn
        self.ls1 = layer_scale(spec.attention.dim, spec.layer_scale)
        self.drop_path1 = DropPath(spec.drop_path)

    def _add_mlp(self, spec: BlockSpec) -> None:
        dim = spec.attention.dim
        self.norm2 = spec.build_norm()
        self.mlp = Mlp(dim, int(dim * spec.mlp_ratio), spec.act)
        self.ls2 = layer_scale(spec.attention.dim, spec.layer_scale)
        self.drop_path2 = DropPath(spec.drop_path)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        return self.feed_forward(self.attend(x_BNC, grid))

    def attend(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """All but the last residual step: those in which tokens meet."""
        return x_BNC + self.drop_path1(self.ls1(self.attn(self.norm1(x_BNC), grid)))

    def feed_forward(self, x_BNC: Tensor) -> Tensor:
        """The last residual step."""
        return x_BNC + self.drop_path2(self.ls2(self.mlp(self.norm2(x_BNC))))


class TimeAndSpace(Block):
    """A block with attention over time and attention over space, each with a norm of its own, and an MLP.

    The steps over time have TimeSformer's names: `temporal_norm1`, `temporal_attn`.
    """

    def _add_temporal_attention(self, spec: BlockSpec, attn: nn.Module) -> None:
        self.temporal_norm1 = spec.build_norm()
        self.temporal_attn = attn
        self.temporal_ls1 = layer_scale(spec.attention.dim, spec.layer_scale)

    def over_time(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """The branch of attention over time."""
        return self.temporal_ls1(self.temporal_attn(self.temporal_norm1(x_BNC), grid))

    def over_space(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """The branch of attention over space."""
        return self.ls1(self.attn(self.norm1(x_BNC), grid))


def attention_names() -> list[str]:
    """What ATTENTION.CYCLE may name: attention layers, and blocks with several of them."""
    return sorted([*ATTENTION.names(), *BLOCKS.names()])


def build_block(name: str, spec: BlockSpec) -> Block:
    """The block called `name`, or a plain block with the attention layer of that name. Raises ConfigError."""
    if name in BLOCKS:
        return BLOCKS.get(name)(spec, *map(spec.attention.attention.of, BLOCKS.options(name)))
    if name not in ATTENTION:
        raise ConfigError(f"no attention '{name}': {unknown_name(name, attention_names())}")
    return Block(spec, build_attention(name, spec.attention))
