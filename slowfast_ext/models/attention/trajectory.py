"""Trajectory attention (Motionformer, Sec. 3.1): spatial attention to every frame, then over time.

1. y[n, t'] = values of frame t' weighted for query n: the trajectory token (Eq. 4).
2. The query along the trajectory comes from its token in the query's own frame, keys and values from
   all its tokens (Eq. 5, 6).

The second half never projects the N*T trajectory tokens. Per head, with q the query along the trajectory,
    softmax_t' <q, W_k y[t']> = softmax_t' <W_k^T q, y[t']>,
    sum_t' a[t'] (W_v y[t'] + b) = W_v (sum_t' a[t'] y[t']) + b,
and a key bias would add the same to all scores and cancel, so there is none. Of the second half only
queries and trajectory tokens are saved for the backward pass.

Shapes: B batch, N patch tokens, P prefix tokens, C channels, h heads, D head dim, T frames, S tokens of a frame.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention.base import ATTENTION, AttentionSpec, Grid, KernelAttention
from slowfast_ext.models.attention.fused import fused_attention
from slowfast_ext.models.attention.softmax import Softmax, softmax_weights
from slowfast_ext.options import Options, option, section


@section("ATTENTION.TRAJECTORY", "Trajectory attention (Motionformer, Sec. 3.1 and Table 4)")
@dataclass(frozen=True)
class TrajectoryOptions(Options):
    """The variants of Table 4."""

    temporal: str = option(
        "attention",
        "how a trajectory is pooled over time: attention, or its mean",
        choices=("attention", "average"),
    )
    norm: str = option(
        "space",
        "softmax over the keys of each frame, or over those of all frames",
        choices=("space", "space_time"),
    )
    values: str = option(
        "original",
        "values over time: the trajectory tokens (public checkpoints), or projected (paper)",
        choices=("original", "projected"),
    )


@ATTENTION.register("trajectory", TrajectoryOptions)
class Trajectory(KernelAttention):
    """Any kernel for the trajectory tokens, exact attention over time; the prefix attends to all tokens.

    Patch queries do not see the prefix (as published). There is no projection of values where the
    published model has one but skips it (VALUES original): every parameter takes part.
    Cost, N patches: 4*(N + P)*C^2 + 2*P*(N + P)*C, the kernel's (softmax: 2*N^2*C),
    2*N*C^2 + (h + 1)*N*T*C over time, projected values: + (h - 1)*N*T*C + N*C^2.
    Reference form: N*T*C^2 (projected values: 2*N*T*C^2) + N*C^2 + 2*N*T*C over time.
    NORM space_time: + h*N^2*(D + max(T, D)).
    """

    def __init__(
        self, spec: AttentionSpec, options: TrajectoryOptions = TrajectoryOptions()
    ) -> None:
        super().__init__(spec, key_grid=spec.grid.frame(prefix=0))
        self.reference = spec.attention.reference
        self.over_all_frames = options.norm == "space_time"
        if self.over_all_frames and not isinstance(self.kernel, Softmax):
            raise ConfigError(
                f"ATTENTION.TRAJECTORY.NORM space_time is exact attention, not the kernel {spec.attention.kernel}; "
                "set ATTENTION.KERNEL softmax, or NORM space"
            )
        if spec.grid.prefix:
            self.prefix_kernel = Softmax(
                spec.num_heads, spec.head_dim, spec.grid, spec.attention.dropout
            )
        self.averages = options.temporal == "average"
        if not self.averages:
            self.proj_q = nn.Linear(spec.dim, spec.dim, bias=spec.qkv_bias)
            self.proj_k = nn.Linear(spec.dim, spec.dim, bias=False)
            projected = options.values == "projected"
            self.proj_v = nn.Linear(spec.dim, spec.dim, spec.qkv_bias) if projected else None

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, P + N, C] -> [B, P + N, C]."""
        q, k, v = self.split_heads(x_BNC)
        P = grid.prefix
        mixed = self.apply_steps(q, k, v, grid)
        q_patches, k_patches, v_patches = (x[:, :, P:] for x in mixed)
        y_BhNTD = self.trajectories(q_patches, k_patches, v_patches, grid)  # Eq. 4
        out_BNC = self.pool_over_time(y_BhNTD, grid)  # Eq. 5, 6
        if P:
            prefix_grid = Grid.placeless(P)
            cls_BhPD = self.prefix_kernel.attend(q[:, :, :P], k, v, prefix_grid, grid)
            out_BNC = torch.cat([cls_BhPD.transpose(1, 2).flatten(2), out_BNC], dim=1)
        return self.proj_drop(self.proj(out_BNC))

    def trajectories(self, q_BhND: Tensor, k_BhND: Tensor, v_BhND: Tensor, grid: Grid) -> Tensor:
        """Trajectory tokens [B, h, N, T, D] of patch queries, keys and values (Eq. 4)."""
        k_BhTSD, v_BhTSD = (x.unflatten(2, (grid.t, grid.space)) for x in (k_BhND, v_BhND))
        if self.over_all_frames and self.reference:
            return explicit_shares(q_BhND, k_BhND, v_BhTSD, self.kernel.drop)
        y_BhNTD = self.kernel.attend_frames(q_BhND, k_BhTSD, v_BhTSD, Grid(grid.t, grid.h, grid.w))
        if self.over_all_frames:
            y_BhNTD = y_BhNTD * frame_shares(q_BhND, k_BhTSD)[..., None]
        return y_BhNTD

    def pool_over_time(self, y_BhNTD: Tensor, grid: Grid) -> Tensor:
        """Trajectories pooled over time, [B, N, C] (Eq. 5, 6)."""
        if self.averages:
            return y_BhNTD.mean(dim=3).transpose(1, 2).flatten(2)
        if self.reference:
            return self._pool_reference(y_BhNTD, grid)
        parts = cache_parts(y_BhNTD, grid)
        q_BNC = self.proj_q(own_frame(y_BhNTD, grid))
        pieces = zip(q_BNC.chunk(parts, dim=1), y_BhNTD.chunk(parts, dim=2), strict=True)
        weights = (self.proj_k.weight, self.proj_v.weight if self.proj_v else None)
        pooled = [_recomputed(pool, q, y, *weights) for q, y in pieces]
        out_BNC = torch.cat(pooled, dim=1) if parts > 1 else pooled[0]
        return (
            out_BNC
            if self.proj_v is None or self.proj_v.bias is None
            else out_BNC + self.proj_v.bias
        )

    def _pool_reference(self, y_BhNTD: Tensor, grid: Grid) -> Tensor:
        """The reference form: keys and values of all N*T trajectory tokens, then attention over time."""
        h, D = y_BhNTD.shape[1], y_BhNTD.shape[-1]
        q_BNC = self.proj_q(own_frame(y_BhNTD, grid))
        y_BNTC = beside_each_other(y_BhNTD)
        k_BNTC = self.proj_k(y_BNTC)
        v_BNTC = self.proj_v(y_BNTC) if self.proj_v else y_BNTC
        q_BNhD, k_BNThD, v_BNThD = (x.unflatten(-1, (h, D)) for x in (q_BNC, k_BNTC, v_BNTC))
        weights_BNhT = (torch.einsum("bnhd,bnthd->bnht", q_BNhD, k_BNThD) * D**-0.5).softmax(-1)
        return torch.einsum("bnht,bnthd->bnhd", weights_BNhT, v_BNThD).flatten(2)


def own_frame(y_BhNTD: Tensor, grid: Grid) -> Tensor:
    """The token of every trajectory in its query's own frame, [B, N, C]."""
    y_BhSDT = y_BhNTD.unflatten(2, (grid.t, grid.space)).diagonal(dim1=2, dim2=4)
    return y_BhSDT.permute(0, 4, 2, 1, 3).flatten(3).flatten(1, 2)


def frame_shares(q_BhND: Tensor, k_BhTSD: Tensor) -> Tensor:
    """What part of the softmax over all keys falls on each frame, [B, h, N, T].

    Attention to values that mark the frame of their key; T is padded to the head width where it is less,
    for the fused kernels.
    """
    T, S, D = k_BhTSD.shape[2:]
    marks_TSE = torch.eye(T, max(T, D), dtype=q_BhND.dtype, device=q_BhND.device)[:, None]
    marks_BhME = marks_TSE.expand(T, S, -1).flatten(0, 1).expand(*q_BhND.shape[:2], -1, -1)
    return fused_attention(q_BhND, k_BhTSD.flatten(2, 3), marks_BhME)[..., :T]


def explicit_shares(
    q_BhND: Tensor, k_BhND: Tensor, v_BhTSD: Tensor, drop: Callable[[Tensor], Tensor]
) -> Tensor:
    """Trajectory tokens of one softmax over all keys, from its N x N weights: the reference form.

    What `drop` drops is drawn frame by frame, in the order of the fast form.
    """
    weights_BhNTS = softmax_weights(q_BhND, k_BhND).unflatten(-1, v_BhTSD.shape[2:4])
    weights_BhNTS = drop(weights_BhNTS.permute(3, 0, 1, 2, 4).contiguous()).permute(1, 2, 3, 0, 4)
    return torch.einsum("bhnts,bhtsd->bhntd", weights_BhNTS, v_BhTSD)


def beside_each_other(y_BhNTD: Tensor) -> Tensor:
    """The heads of trajectory tokens, [B, N, T, C]."""
    return y_BhNTD.permute(0, 2, 3, 1, 4).flatten(3)


def cache_parts(y_BhNTD: Tensor, grid: Grid) -> int:
    """In how many parts trajectories are pooled: by query frame on a CPU, as much as its cache holds, else at once."""
    return grid.t if y_BhNTD.device.type == "cpu" and not torch.compiler.is_compiling() else 1


def pool(
    q_BNC: Tensor, y_BhNTD: Tensor, weight_k: Tensor, weight_v: Tensor | None = None
) -> Tensor:
    """Trajectories pooled over time for their queries, [B, N, C]; without `weight_v` values are the tokens themselves."""
    weights_BNhT = scores(q_BNC, y_BhNTD, weight_k).softmax(-1)
    if weight_v is None:
        return weighted_sum(weights_BNhT, y_BhNTD)
    return projected_sum(weights_BNhT, y_BhNTD, weight_v)


def scores(q_BNC: Tensor, y_BhNTD: Tensor, weight_k: Tensor) -> Tensor:
    """<q, W_k y[t]> / sqrt(D) as <W_k^T q, y[t]> / sqrt(D), [B, N, h, T]."""
    h, D = y_BhNTD.shape[1], y_BhNTD.shape[-1]
    q_BNhD = q_BNC.unflatten(-1, (h, D)) * D**-0.5
    absorbed_BNhC = torch.einsum("bnhd,hdc->bnhc", q_BNhD, weight_k.unflatten(0, (h, D)))
    return absorbed_BNhC @ beside_each_other(y_BhNTD).mT


def weighted_sum(weights_BNhT: Tensor, y_BhNTD: Tensor) -> Tensor:
    """sum_t a[t] y[t], [B, N, C]."""
    return torch.einsum("bnht,bhntd->bnhd", weights_BNhT, y_BhNTD).flatten(2)


def projected_sum(weights_BNhT: Tensor, y_BhNTD: Tensor, weight_v: Tensor) -> Tensor:
    """sum_t a[t] W_v y[t] as W_v sum_t a[t] y[t], [B, N, C]."""
    mixed_BNhC = weights_BNhT @ beside_each_other(y_BhNTD)
    weight_hDC = weight_v.unflatten(0, (mixed_BNhC.shape[2], -1))
    return torch.einsum("bnhc,hdc->bnhd", mixed_BNhC, weight_hDC).flatten(2)


def _recomputed(function: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """function(*inputs), recomputed for the backward pass: cheap, and it spares h*N*C numbers."""
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
