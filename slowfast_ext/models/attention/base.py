"""What every attention layer shares: its options, the projections, the kernel that turns scores into weights.

Shapes: B batch, N tokens (prefix first, then time-major), C channels, h heads, D head dim.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from slowfast_ext.models.attention.fixation import FixationOptions, build_fixation
from slowfast_ext.models.attention.grid import Grid
from slowfast_ext.models.attention.neighbour import Neighbour, NeighbourOptions
from slowfast_ext.models.attention.qk_norm import QK_NORMS, QkNorm
from slowfast_ext.models.attention.rotary import Rotary
from slowfast_ext.options import Options, option, section
from slowfast_ext.registry import Registry

ATTENTION = Registry("ATTENTION")
KERNELS = Registry("KERNELS")

Part = TypeVar("Part", bound=Options)
QkvStep = Callable[[Tensor, Tensor, Tensor, Grid], tuple[Tensor, Tensor, Tensor]]
"""(q, k, v, grid) -> (q, k, v), all [B, h, N, D]: what is done to the projections before tokens meet."""


@section("ATTENTION", "Attention of every block")
@dataclass(frozen=True)
class AttentionOptions(Options):
    """Which attention a backbone has.

    `parts` are the options of variants, kernels, feature fixation and neighbourhood association, each an object of
    its class; a class that is not among them has its defaults.
    """

    cycle: tuple[str, ...] = option(
        ("joint",),
        "attention variants that repeat through the depth of each stage",
        per_stage=True,
    )
    kernel: str = option("softmax", "name in the KERNELS registry")
    reference: bool = option(
        False, "reference implementation instead of the fast form (slow; for checks)"
    )
    dropout: float = option(
        0.0,
        "dropout of the attention weights, where they are formed: softmax, linformer, struct, emim",
        low=0,
        high=1,
    )
    proj_dropout: float = option(0.0, "dropout after the output projection", low=0, high=1)
    qk_norm: str = option(
        "none",
        "norm of queries and keys, over the channels of all heads together (InternVideo2: rms)",
        choices=("none", *QK_NORMS),
    )
    rotary: bool = option(
        False,
        "turn queries and keys by frame, row and column, a third of a head's channels each (V-JEPA 2)",
    )
    parts: tuple[Options, ...] = ()

    def of(self, kind: type[Part]) -> Part:
        """The options of a class."""
        return next((part for part in self.parts if isinstance(part, kind)), kind())

    def check(self) -> None:
        """There is something to repeat, in every stage."""
        if not all(self.cycle if self.is_per_stage("cycle") else (self.cycle,)):
            raise self.error("cycle", "is empty", "name an attention, e.g. [joint]")

    def at_stage(self, index: int, stages: int) -> "AttentionOptions":
        """The options of one of the stages of attention blocks, counted from 0."""
        own = super().at_stage(index, stages)
        return replace(own, parts=tuple(part.at_stage(index, stages) for part in self.parts))

    def variant(self, block: int) -> str:
        """Name of the attention of a block of the stage."""
        return self.cycle[block % len(self.cycle)]


@dataclass(frozen=True)
class AttentionSpec:
    """What a backbone tells an attention layer.

    `grid` is the one the model is built for; only layers with a parameter per position may depend on it, all others
    take any grid in forward.
    """

    dim: int
    num_heads: int
    grid: Grid
    qkv_bias: bool = True
    attention: AttentionOptions = AttentionOptions()

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.dim // self.num_heads


class Kernel(nn.Module):
    """How scores become weights: `attend` over keys that all queries of a row may see.

    Both grids name the layout of their tokens. `has_feature_map`: queries and keys pass through `feature_map`
    (elementwise) first, before feature fixation. `fixed_keys`: the number of keys is that of `key_grid`.
    """

    has_feature_map: ClassVar[bool] = False
    fixed_keys: ClassVar[bool] = False

    def __init__(self, num_heads: int, head_dim: int, key_grid: Grid, dropout: float = 0.0) -> None:
        """`key_grid` is the layout of the keys of one row in the layer that owns the kernel."""
        super().__init__()
        self.scale = head_dim**-0.5
        self.dropout = dropout

    def feature_map(self, x_BhND: Tensor) -> Tensor:
        """What linear kernels do to queries and keys."""
        return x_BhND

    def attend(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        v_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """Weighted values [B, h, N, D] of mapped queries and keys.

        `valid_BM` marks the keys that are no padding; queries, keys and values of padding are zero.
        """
        raise NotImplementedError

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The weights [B, h, N, M] that `attend` implies, without dropout: for pictures, and the reference form."""
        raise NotImplementedError

    def dropped_weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """`weights` with the dropout that `attend` has in training; most kernels form no weights that could be dropped."""
        return self.weights(q_BhND, k_BhMD, q_grid, k_grid, valid_BM)

    def drop(self, weights: Tensor) -> Tensor:
        """Dropout of weights, in training only."""
        return dropout(weights, self.dropout, self.training)

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

    Norms of queries and keys, rotary positions, neighbourhood association and feature fixation are steps on (q, k, v)
    that exist only where they are asked for. With `keeps_order` tokens stay in the order of the sequence on their way from
    `split_heads` to `merge_heads`, as reference forms and probes want them; a layer may else bring them into a better one.
    """

    def __init__(self, spec: AttentionSpec) -> None:
        super().__init__()
        self.keeps_order = spec.attention.reference
        self.num_heads = spec.num_heads
        self.qkv = nn.Linear(spec.dim, 3 * spec.dim, bias=spec.qkv_bias)
        self.proj = nn.Linear(spec.dim, spec.dim)
        self.proj_drop = nn.Dropout(spec.attention.proj_dropout)
        association = spec.attention.of(NeighbourOptions)
        fixation = spec.attention.of(FixationOptions)
        is_on = association.temporal or association.spatial
        self.neighbour = Neighbour(spec.dim, association) if is_on else None
        self.fixation = build_fixation(spec.head_dim, fixation)
        normed = spec.attention.qk_norm != "none"
        self.qk_norm = QkNorm(spec.dim, spec.attention.qk_norm) if normed else None
        self.rotary = Rotary(spec.head_dim) if spec.attention.rotary else None
        self.qkv_steps = self._steps()

    def _steps(self, feature_map: QkvStep | None = None) -> list[QkvStep]:
        """What there is of norm, rotary positions, association, feature map and fixation, in their order."""
        first = self.neighbour if self.neighbour and self.neighbour.before_fixation else None
        last = None if first else self.neighbour
        steps = (self.qk_norm, self.rotary, first, feature_map, self.fixation, last)
        return [step for step in steps if step is not None]

    def split_heads(self, x_BNC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [B, h, N, D]."""
        qkv_BNC = self.qkv(x_BNC).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv_BNC.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def apply_steps(
        self, q: Tensor, k: Tensor, v: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The steps on (q, k, v), all [B, h, N, D], the tokens of `grid`, before they are regrouped."""
        for step in self.qkv_steps:
            q, k, v = step(q, k, v, grid)
        return q, k, v

    def merge_heads(self, y_BhND: Tensor) -> Tensor:
        """Concatenated heads through the output projection, [B, N, C]."""
        return self.proj_drop(self.proj(y_BhND.transpose(1, 2).flatten(2)))

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """Attention over the tokens of `grid`."""
        raise NotImplementedError


class KernelAttention(Attention):
    """A pattern of tokens that meet, with any kernel. The kernel's feature map is a step on queries and keys."""

    def __init__(self, spec: AttentionSpec, key_grid: Grid) -> None:
        """`key_grid` is the layout of the keys of one row."""
        super().__init__(spec)
        self.kernel = build_kernel(spec, key_grid)
        if self.kernel.has_feature_map:
            self.qkv_steps = self._steps(self._feature_map)

    def _feature_map(
        self, q: Tensor, k: Tensor, v: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self.kernel.feature_map(q), self.kernel.feature_map(k), v


def build_kernel(spec: AttentionSpec, key_grid: Grid) -> Kernel:
    """The kernel that `spec.attention` names, for rows of keys laid out as `key_grid`.

    With `reference` it forms its weights in full.
    """
    options = spec.attention
    kind = (
        explicit(KERNELS.get(options.kernel)) if options.reference else KERNELS.get(options.kernel)
    )
    own = map(options.of, KERNELS.options(options.kernel))
    return kind(spec.num_heads, spec.head_dim, key_grid, options.dropout, *own)


@cache
def explicit(kind: type[Kernel]) -> type[Kernel]:
    """The reference form of a kernel, with the same parameters: `weights` in full times the values."""

    def attend(
        self: Kernel,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        v_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        weights_BhNM = self.dropped_weights(q_BhND, k_BhMD, q_grid, k_grid, valid_BM)
        return (weights_BhNM @ v_BhMD.to(weights_BhNM.dtype)).to(v_BhMD.dtype)

    return type(f"Explicit{kind.__name__}", (kind,), {"attend": attend})


def build_attention(name: str, spec: AttentionSpec) -> Attention:
    """The attention layer called `name`."""
    return ATTENTION.get(name)(spec, *map(spec.attention.of, ATTENTION.options(name)))


def fp32(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in single precision at least, for normalisers and long sums."""
    return tuple(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in tensors)


def summable(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in a precision in which long sums of them stay in range: fp16 in single precision.

    bf16 has the range of single precision, and devices sum its products in it: there is nothing to gain from a cast,
    and matrix units to lose.
    """
    return tuple(x.float() if x.dtype == torch.float16 else x for x in tensors)


def without_autocast(x: Tensor) -> AbstractContextManager[None]:
    """Products inside keep the precision of their inputs on the device of `x` (of any kind, meta too)."""
    kind = x.device.type
    known = torch.amp.is_autocast_available(kind)
    return torch.autocast(kind, enabled=False) if known else nullcontext()
