"""What every attention variant shares: the token grid, the layer's facts, the projections.

Shapes: B batch, N tokens (prefix first, then time-major), C channels, h heads, D head dim.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.models.attention.fixation import build_fixation
from slowfast_ext.models.attention.grid import Grid, LayerSpec
from slowfast_ext.models.attention.neighbour import Neighbour
from slowfast_ext.options import Options, option, section
from slowfast_ext.registry import Registry


@section("ATTENTION", "Attention of every block")
@dataclass(frozen=True)
class AttentionOptions(Options):
    """Attention of every block: the section ATTENTION."""

    cycle: tuple[str, ...] = option(
        ("joint",), "attention variants that repeat through the depth of each stage"
    )
    kernel: str = option("softmax", "name in the KERNELS registry")
    reference: bool = option(False, "plain twin instead of the fast form (slow; for checks)")
    dropout: float = option(0.0, "dropout of the attention weights", low=0, high=1)
    proj_dropout: float = option(0.0, "dropout after the output projection", low=0, high=1)


ATTENTION = Registry("ATTENTION")
KERNELS = Registry("KERNELS")


class Kernel(nn.Module):
    """How scores become weights: `attend` over keys that all queries of a row may see.

    `activate` is the elementwise feature map of queries and keys (identity but for the linear kernels);
    feature fixation acts between the two. Both grids name the layout of their tokens. `fixed_keys`: the number
    of keys is that of the `key_grid` it is built with.
    """

    fixed_keys: ClassVar[bool] = False

    def __init__(self, spec: LayerSpec, cfg: CfgNode, key_grid: Grid) -> None:
        """`key_grid` is the layout of the keys of one row in the pattern that owns the kernel."""
        super().__init__()
        self.scale = spec.head_dim**-0.5
        self.dropout = cfg.DROPOUT

    def activate(self, x_BhND: Tensor) -> Tensor:
        """Feature map of queries and keys."""
        return x_BhND

    def attend(
        self, q_BhND: Tensor, k_BhMD: Tensor, v_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> Tensor:
        """Weighted values [B, h, N, D] of activated queries and keys."""
        raise NotImplementedError

    def weights(self, q_BhND: Tensor, k_BhMD: Tensor, q_grid: Grid, k_grid: Grid) -> Tensor:
        """The weights [B, h, N, M] that `attend` implies: its plain twin, and the picture of attention."""
        raise NotImplementedError

    def forward(
        self, q_BhND: Tensor, k_BhMD: Tensor, v_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> Tensor:
        """Weighted values [B, h, N, D]; N may differ from M."""
        return self.attend(self.activate(q_BhND), self.activate(k_BhMD), v_BhMD, q_grid, k_grid)

    def attend_frames(
        self, q_BhND: Tensor, k_BhTSD: Tensor, v_BhTSD: Tensor, q_grid: Grid
    ) -> Tensor:
        """For every query and key frame the weighted values of that frame alone, [B, h, N, T, D].

        The frames are folded into the batch; kernels that share work between frames override this.
        """
        B, h, T, S, D = k_BhTSD.shape
        N = q_BhND.shape[2]
        q = q_BhND[:, None].expand(B, T, h, N, D).reshape(B * T, h, N, D)
        k, v = (x.transpose(1, 2).reshape(B * T, h, S, D) for x in (k_BhTSD, v_BhTSD))
        y = self.attend(q, k, v, q_grid, q_grid.frame(prefix=0))
        return y.reshape(B, T, h, N, D).permute(0, 2, 3, 1, 4)


class Attention(nn.Module):
    """Base of all variants: `forward(x_BNC, grid) -> x_BNC`, queries, keys and values in one projection.

    The pre-norm residual around it belongs to the block, unless `composite` is set: a composite variant
    (time then space, say) consists of several residual steps, and its forward returns the whole stream.
    """

    composite: ClassVar[bool] = False

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__()
        self.num_heads = spec.num_heads
        self.qkv = nn.Linear(spec.dim, 3 * spec.dim, bias=spec.qkv_bias)
        self.proj = nn.Linear(spec.dim, spec.dim)
        self.proj_drop = nn.Dropout(cfg.PROJ_DROPOUT)
        self.neighbour = Neighbour(spec, cfg.NEIGHBOUR)
        self.fixation = build_fixation(spec, cfg.FIXATION)

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """What in the whole `cfg` this variant cannot be built from."""
        return ()

    def split_heads(self, x_BNC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [B, h, N, D]."""
        qkv_BNC = self.qkv(x_BNC).unflatten(-1, (3, self.num_heads, -1))
        return qkv_BNC.permute(2, 0, 3, 1, 4).unbind(0)

    def mix(
        self, q: Tensor, k: Tensor, v: Tensor, grid: Grid, activate: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Neighbourhood association, the kernel's feature map `activate` and feature fixation.

        All [B, h, N, D], the tokens of `grid`, before they are regrouped; `kernel.attend` comes after.
        """
        if self.neighbour.before_fixation:
            k, v = self.neighbour(k, v, grid)
        q, k = self.fixation(activate(q), activate(k), v)
        if not self.neighbour.before_fixation:
            k, v = self.neighbour(k, v, grid)
        return q, k, v

    def merge_heads(self, y_BhND: Tensor) -> Tensor:
        """Concatenated heads through the output projection, [B, N, C]."""
        return self.proj_drop(self.proj(y_BhND.transpose(1, 2).flatten(2)))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """Attention over the tokens of `grid`."""
        raise NotImplementedError


def build_kernel(spec: LayerSpec, cfg: CfgNode, key_grid: Grid) -> Kernel:
    """The kernel that ATTENTION.KERNEL names, for rows of keys laid out as `key_grid`.

    With ATTENTION.REFERENCE it forms its weights in full.
    """
    kind = KERNELS.get(cfg.KERNEL)
    return (explicit(kind) if cfg.REFERENCE else kind)(spec, cfg, key_grid)


@cache
def explicit(kind: type[Kernel]) -> type[Kernel]:
    """The plain twin of a kernel, with the same parameters: `weights` in full times the values."""

    def attend(
        self: Kernel, q_BhND: Tensor, k_BhMD: Tensor, v_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> Tensor:
        weights_BhNM = self.weights(q_BhND, k_BhMD, q_grid, k_grid)
        return (weights_BhNM @ v_BhMD.to(weights_BhNM.dtype)).to(v_BhMD.dtype)

    return type(f"Explicit{kind.__name__}", (kind,), {"attend": attend})


def build_attention(name: str, spec: LayerSpec, cfg: CfgNode) -> Attention:
    """The variant called `name`. `cfg` is the ATTENTION node."""
    return ATTENTION.get(name)(spec, cfg)


def variant_of_block(cfg: CfgNode, index: int) -> str:
    """Name of the variant of the block `index` of a stage: ATTENTION.CYCLE, repeated."""
    return cfg.CYCLE[index % len(cfg.CYCLE)]


def stack_heads(x_BhND: Tensor) -> Tensor:
    """[B, h, N, D] -> [B, N, C], channels head-major."""
    return x_BhND.transpose(1, 2).flatten(2)


def fp32(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in single precision at least, for normalisers and long sums."""
    return tuple(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in tensors)


def without_autocast(x: Tensor) -> AbstractContextManager[None]:
    """Products inside keep the precision of their inputs on the device of `x` (of any kind, meta too)."""
    kind = x.device.type
    known = torch.amp.is_autocast_available(kind)
    return torch.autocast(kind, enabled=False) if known else nullcontext()
