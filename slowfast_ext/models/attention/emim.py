"""EMIM: each token looks at a window of the next frame, for appearance and for motion.

Zhuang et al., "A Renaissance of Explicit Motion Information Mining from Transformers for Action Recognition".

Shapes: B batch, N tokens (prefix P first, then time-major), C channels, h heads, T frames, S tokens of a frame,
D head dim, K cells of the window.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from yacs.config import CfgNode

from slowfast_ext.config import Problem
from slowfast_ext.models.attention.base import ATTENTION, Attention
from slowfast_ext.models.attention.emim_window import explicit_window_attention, window_attention
from slowfast_ext.models.attention.grid import Grid, LayerSpec
from slowfast_ext.options import Options, option, section


@section("ATTENTION.EMIM", "Explicit motion information mining, the variant `emim`")
@dataclass(frozen=True)
class EmimOptions(Options):
    """Explicit motion information mining, the variant `emim`: the section ATTENTION.EMIM."""

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


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """[..] -> [..]."""
        return x * torch.sigmoid(1.702 * x)


@ATTENTION.register("emim")
class Emim(Attention):
    """Appearance (softmax of the affinities with the window, on values) plus motion (an MLP of the affinities).

    Frame t looks at frame t+1; the last frame repeats the result of the one before it, and a single frame
    looks at itself. Patches see their windows only; prefix tokens (cls) see all tokens, by plain softmax.
    Cost: 4*(P + N)*C^2 + 2*n*(S + K)*C + 4*n*h*K*(K + D) + 2*P*(P + N)*C multiply-adds, N = T*S patches,
    n = max(T - 1, 1)*S of them looking ahead.
    """

    def __init__(self, spec: LayerSpec, cfg: CfgNode) -> None:
        super().__init__(spec, cfg)
        rows, columns = cfg.EMIM.WINDOW
        cells = rows * columns
        self.position_bias = nn.Parameter(torch.zeros(spec.num_heads, rows, columns))
        self.motion = nn.Sequential(
            nn.Linear(cells, 4 * cells), QuickGelu(), nn.Linear(4 * cells, spec.head_dim)
        )
        channels = cfg.EMIM.CONTEXT_CHANNELS
        self.context_channels = spec.head_dim if channels == "all" else min(channels, spec.head_dim)
        self.attend = explicit_window_attention if cfg.REFERENCE else window_attention
        self.dropout = cfg.DROPOUT

    @classmethod
    def check(cls, cfg: CfgNode) -> Iterable[Problem]:
        """Windows are centred."""
        sizes = cfg.ATTENTION.EMIM.WINDOW
        if len(sizes) != 2 or not all(size % 2 for size in sizes):
            message, remedy = "has no centre", "give two odd sizes, e.g. [7, 7]"
            yield Problem("ATTENTION.EMIM.WINDOW", message, remedy)

    def init_weights(self) -> None:
        """Small position bias; the motion branch starts at zero."""
        nn.init.trunc_normal_(self.position_bias, std=0.02)
        nn.init.xavier_uniform_(self.motion[0].weight)
        for parameter in (self.motion[0].bias, *self.motion[2].parameters()):
            nn.init.zeros_(parameter)

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        q, k, v = self.mix(*self.split_heads(x_BNC), grid, nn.Identity())
        affinity_BhTSK, context_BhTSD = self._look_ahead(q, k, v, grid)
        y_BhTSD = context_BhTSD + self.motion(affinity_BhTSK)
        repeated = grid.t - y_BhTSD.shape[2]
        y_BhND = torch.cat([y_BhTSD, y_BhTSD[:, :, -1:][:, :, :repeated]], dim=2).flatten(2, 3)
        if grid.prefix:
            q_BhPD, drop = q[:, :, : grid.prefix], self.dropout if self.training else 0.0
            prefix_BhPD = scaled_dot_product_attention(q_BhPD, k, v, dropout_p=drop)
            y_BhND = torch.cat([prefix_BhPD, y_BhND], dim=2)
        return self.merge_heads(y_BhND)

    def affinity(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """Affinities with the window of the next frame [B, h, T-1, S, rows, columns], bias included."""
        q, k, v = self.mix(*self.split_heads(x_BNC), grid, nn.Identity())
        return self._look_ahead(q, k, v, grid)[0].unflatten(-1, self.position_bias.shape[1:])

    def _look_ahead(self, q: Tensor, k: Tensor, v: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Affinities and contexts of all pairs of neighbouring frames (or of the single frame and itself)."""
        pairs = max(grid.t - 1, 1)
        q, k, v = (x[:, :, grid.prefix :].unflatten(2, (grid.t, grid.space)) for x in (q, k, v))
        q, k, v = q[:, :, :pairs], k[:, :, -pairs:], v[:, :, -pairs:]
        drop = self.dropout if self.training else 0.0
        q, k, v = (self._as_published(x) for x in (q, k, v))
        affinity, context = self.attend(q, k, v, self.position_bias, (grid.h, grid.w), drop)
        return affinity, self._as_published_context(context)

    def _as_published(self, x_BhTSD: Tensor) -> Tensor:
        """The published kernels compute affinities from all channels, but gradients for 32 only."""
        kept, rest = x_BhTSD.tensor_split([self.context_channels], dim=-1)
        return torch.cat([kept, rest.detach()], dim=-1) if rest.numel() else x_BhTSD

    def _as_published_context(self, context_BhTSD: Tensor) -> Tensor:
        """They leave the other channels of the context at zero, though their gradient reaches the weights."""
        kept, rest = context_BhTSD.tensor_split([self.context_channels], dim=-1)
        return torch.cat([kept, rest - rest.detach()], dim=-1) if rest.numel() else context_BhTSD
