"""EMIM: each token looks at a window of the next frame, for appearance and for motion.

Zhuang et al., "A Renaissance of Explicit Motion Information Mining from Transformers for Action Recognition".

Shapes: B batch, N tokens (prefix P first, then time-major), C channels, h heads, T frames, S tokens of a frame,
D head dim, K cells of the window.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from slowfast_ext.models.activations import QuickGELU
from slowfast_ext.models.attention.base import ATTENTION, Attention, AttentionSpec
from slowfast_ext.models.attention.emim_window import (
    explicit_window_attention,
    window_attention,
    window_index,
)
from slowfast_ext.models.attention.fused import fused_attention
from slowfast_ext.models.attention.grid import Grid
from slowfast_ext.options import Options, option, section


@section("ATTENTION.EMIM", "Explicit motion information mining, the variant `emim`")
@dataclass(frozen=True)
class EmimOptions(Options):
    """The window, and what the published CUDA kernels leave out."""

    window: tuple[int, ...] = option(
        (7, 7),
        "side of the window in the next frame, odd: rows, columns",
        unit="tokens",
        low=1,
        length=2,
        per_stage=True,
    )
    context_channels: str | int = option(
        "all",
        "channels of a head that are aggregated and trained; the published CUDA kernels: 32",
        choices=("all", 32),
        types=(str, int),
    )

    def check(self) -> None:
        """Windows are centred."""
        sizes: Any = self.window if self.is_per_stage("window") else (self.window,)
        if not all(len(size) == 2 and all(side % 2 for side in size) for size in sizes):
            raise self.error("window", "has no centre", "give two odd sizes, e.g. [7, 7]")


@ATTENTION.register("emim", EmimOptions)
class Emim(Attention):
    """Appearance (softmax of the affinities with the window, on values) plus motion (an MLP of the affinities).

    Frame t looks at frame t+1; the last frame repeats the result of the one before it, and a single frame
    looks at itself. Patches see their windows only; prefix tokens (cls) see all tokens, by plain softmax.
    Cost: 4*(P + N)*C^2 + 2*n*(S + K)*C + 4*n*h*K*(K + D) + 2*P*(P + N)*C multiply-adds, N = T*S patches,
    n = max(T - 1, 1)*S of them looking ahead.
    """

    index: Tensor

    def __init__(self, spec: AttentionSpec, options: EmimOptions = EmimOptions()) -> None:
        super().__init__(spec)
        rows, columns = options.window
        cells = rows * columns
        self.position_bias = nn.Parameter(torch.zeros(spec.num_heads, rows, columns))
        self.size = (spec.grid.h, spec.grid.w)
        index_SK = window_index(self.size, options.window)
        self.register_buffer("index", index_SK, persistent=False)
        first, last = nn.Linear(cells, 4 * cells), nn.Linear(4 * cells, spec.head_dim)
        self.motion = nn.Sequential(first, QuickGELU(), last)
        channels = options.context_channels
        self.context_channels = (
            min(channels, spec.head_dim) if isinstance(channels, int) else spec.head_dim
        )
        self.attend = explicit_window_attention if spec.attention.reference else window_attention
        self.dropout = spec.attention.dropout

    def init_weights(self) -> None:
        """Small position bias; the motion branch starts at zero."""
        nn.init.trunc_normal_(self.position_bias, std=0.02)
        for name, parameter in self.motion.named_parameters():
            if name == "0.weight":
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        q, k, v = self.apply_steps(*self.split_heads(x_BNC), grid)
        affinity_BhTSK, context_BhTSD = self._look_ahead(q, k, v, grid)
        y_BhTSD = context_BhTSD + self.motion(affinity_BhTSK)
        repeated = grid.t - y_BhTSD.shape[2]
        y_BhND = torch.cat([y_BhTSD, y_BhTSD[:, :, -1:][:, :, :repeated]], dim=2).flatten(2, 3)
        if grid.prefix:
            q_BhPD, drop = q[:, :, : grid.prefix], self.dropout if self.training else 0.0
            prefix_BhPD = fused_attention(q_BhPD, k, v, dropout=drop)
            y_BhND = torch.cat([prefix_BhPD, y_BhND], dim=2)
        return self.merge_heads(y_BhND)

    def affinity(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """Affinities with the window of the next frame [B, h, T-1, S, rows, columns], bias included."""
        q, k, v = self.apply_steps(*self.split_heads(x_BNC), grid)
        return self._look_ahead(q, k, v, grid)[0].unflatten(-1, self.position_bias.shape[1:])

    def _look_ahead(self, q: Tensor, k: Tensor, v: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Affinities and contexts of all pairs of neighbouring frames (or of the single frame and itself)."""
        pairs = max(grid.t - 1, 1)
        q, k, v = (x[:, :, grid.prefix :].unflatten(2, (grid.t, grid.space)) for x in (q, k, v))
        q, k, v = q[:, :, :pairs], k[:, :, -pairs:], v[:, :, -pairs:]
        drop = self.dropout if self.training else 0.0
        q, k, v = (self._as_published(x) for x in (q, k, v))
        size = (grid.h, grid.w)
        index = self.index if size == self.size else None
        affinity, context = self.attend(q, k, v, self.position_bias, size, drop, index)
        return affinity, self._as_published_context(context)

    def _as_published(self, x_BhTSD: Tensor) -> Tensor:
        """The published kernels compute affinities from all channels, but gradients for 32 only."""
        trained, rest = x_BhTSD.tensor_split([self.context_channels], dim=-1)
        return torch.cat([trained, rest.detach()], dim=-1) if rest.numel() else x_BhTSD

    def _as_published_context(self, context_BhTSD: Tensor) -> Tensor:
        """They leave the other channels of the context at zero, though their gradient reaches the weights."""
        trained, rest = context_BhTSD.tensor_split([self.context_channels], dim=-1)
        return torch.cat([trained, rest - rest.detach()], dim=-1) if rest.numel() else context_BhTSD
