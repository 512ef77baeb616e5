"""Orthoformer: softmax attention through landmarks that are queries (Motionformer, Sec. 3.2).

weights = softmax(Q P^T) softmax(P K^T), with the landmarks P taken from the queries, without a gradient.
Shapes: B batch, N queries, M keys, R landmarks, h heads, D head dim, T frames, S tokens of a frame.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from slowfast_ext.models.attention.base import KERNELS, Grid, Kernel
from slowfast_ext.models.attention.fused import fused_attention
from slowfast_ext.models.attention.landmarks import (
    gather_tokens,
    orthogonal_tokens,
    position_major,
    random_tokens,
    segment_means,
)
from slowfast_ext.models.attention.softmax import key_mask, key_softmax
from slowfast_ext.options import Options, option, section


@section("ATTENTION.ORTHOFORMER", "The orthoformer kernel (Motionformer, Sec. 3.2 and Table 3)")
@dataclass(frozen=True)
class OrthoformerOptions(Options):
    """Which queries become landmarks."""

    landmarks: int = option(128, "landmarks of a row; at most its queries", low=1)
    selection: str = option(
        "orthogonal",
        "which queries: the most orthogonal, random ones, or means of segments",
        choices=("orthogonal", "random", "segment_means"),
    )
    share_time: bool = option(
        True, "one set for the clip; else trajectories have one a query frame"
    )
    subsample: float = option(1.0, "share of the queries that are candidates", low=0, high=1)


@KERNELS.register("orthoformer", OrthoformerOptions)
class Orthoformer(Kernel):
    """Linear in the tokens; ATTENTION.DROPOUT has no effect.

    Evaluation is repeatable: the search starts at the first query, random choices are always the same. In
    training both are drawn for every row.
    Cost: h*(R - 1)*N*D for the search, 2*h*R*(N + M)*D to attend; to T frames h*R*N*(T + 1)*D + 2*h*R*M*D, the
    landmarks of each query frame on its own: T times the last term.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        key_grid: Grid,
        dropout: float = 0.0,
        options: OrthoformerOptions = OrthoformerOptions(),
    ) -> None:
        super().__init__(num_heads, head_dim, key_grid, dropout)
        self.most, self.selection = options.landmarks, options.selection
        self.share_time, self.subsample = options.share_time, options.subsample

    def attend(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        v_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """Weighted values [B, h, N, D]."""
        q, k = self._scaled(q_BhND, k_BhMD)
        landmarks_BhRD = self.landmarks(q, q_grid, valid_BM)
        gathered_BhRD = fused_attention(landmarks_BhRD, k, v_BhMD, key_mask(valid_BM), scale=1.0)
        return fused_attention(q, landmarks_BhRD, gathered_BhRD, scale=1.0)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The implied weights [B, h, N, M] (with the landmarks drawn now, in training)."""
        q, k = self._scaled(q_BhND, k_BhMD)
        landmarks_BhRD = self.landmarks(q, q_grid, valid_BM)
        return (q @ landmarks_BhRD.mT).softmax(-1) @ key_softmax(landmarks_BhRD @ k.mT, valid_BM)

    def attend_frames(
        self, q_BhND: Tensor, k_BhTSD: Tensor, v_BhTSD: Tensor, q_grid: Grid
    ) -> Tensor:
        """[B, h, N, T, D]; the weights of the queries over the landmarks are the same for all frames."""
        if self.share_time:
            return self._attend_frames(q_BhND, k_BhTSD, v_BhTSD, q_grid)
        frames = (q_grid.t, q_grid.space)
        q = q_BhND.unflatten(2, frames).transpose(1, 2).flatten(0, 1)
        k, v = (
            x[:, None].expand(-1, q_grid.t, *x.shape[1:]).flatten(0, 1) for x in (k_BhTSD, v_BhTSD)
        )
        y = self._attend_frames(q, k, v, q_grid.frame())
        return y.unflatten(0, (-1, q_grid.t)).transpose(1, 2).flatten(2, 3)

    def _attend_frames(self, q: Tensor, k: Tensor, v: Tensor, q_grid: Grid) -> Tensor:
        q, k = self._scaled(q, k)
        T, D = k.shape[2], k.shape[4]
        landmarks_BhRD = self.landmarks(q, q_grid)
        rows = landmarks_BhRD[:, :, None].expand(-1, -1, T, -1, -1)
        rows_TR, keys_TS, values_TS = (x.flatten(1, 2) for x in (rows, k, v))
        gathered = fused_attention(rows_TR, keys_TS, values_TS, scale=1.0)
        gathered_BhTRD = gathered.unflatten(1, (-1, T))
        gathered_BhRE = gathered_BhTRD.transpose(2, 3).flatten(3)
        weights_BhNR = (q @ landmarks_BhRD.mT).softmax(-1).to(gathered_BhRE.dtype)
        return (weights_BhNR @ gathered_BhRE).unflatten(-1, (T, D))

    def landmarks(self, q_BhND: Tensor, grid: Grid, valid_BN: Tensor | None = None) -> Tensor:
        """Landmarks [B, h, R, D] of scaled queries, detached.

        Padding stands for the first token: parallel to where the search starts, it is chosen last.
        """
        q_BhND = q_BhND.detach()
        if valid_BN is not None:
            first_BhN = valid_BN.int().argmax(1)[:, None, None].expand(q_BhND.shape[:3])
            keep_B1N1 = valid_BN[:, None, :, None]
            q_BhND = torch.where(keep_B1N1, q_BhND, gather_tokens(q_BhND, first_BhN))
        N = q_BhND.shape[2]
        count = min(self.most, N)
        if self.selection == "segment_means":
            return segment_means(position_major(q_BhND, grid), count)
        if self.selection == "random":
            return gather_tokens(q_BhND, random_tokens(q_BhND, count, self.training))
        if self.subsample < 1:
            candidates = max(int(self.subsample * N), count)
            q_BhND = gather_tokens(q_BhND, random_tokens(q_BhND, candidates, self.training))
        return gather_tokens(q_BhND, orthogonal_tokens(q_BhND, count, self.start(q_BhND)))

    def start(self, q_BhND: Tensor) -> Tensor:
        """Where the search of every row starts, [B, h]."""
        rows, N = q_BhND.shape[:2], q_BhND.shape[2]
        if self.training:
            return torch.randint(N, rows, device=q_BhND.device)
        return torch.zeros(rows, dtype=torch.long, device=q_BhND.device)

    def _scaled(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(x * self.scale**0.5 for x in tensors)
