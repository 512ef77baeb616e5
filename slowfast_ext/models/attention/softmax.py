"""Softmax kernel: exact attention through torch's fused kernels.

Shapes: B batch, N queries, M keys, h heads, E = B*h, D head dim, T frames, S tokens of a frame.
"""

import torch
from torch import Tensor
from torch.nn.functional import dropout

from slowfast_ext.models.attention.base import KERNELS, Grid, Kernel
from slowfast_ext.models.attention.fused import fused_attention


@KERNELS.register("softmax")
class Softmax(Kernel):
    """softmax(q k^T / sqrt(D)) v. Cost: 2*N*M*D multiply-adds per head."""

    def attend(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        v_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """Weighted values; dropout of the weights in training only."""
        drop = self.dropout if self.training else 0.0
        return fused_attention(q_BhND, k_BhMD, v_BhMD, key_mask(valid_BM), drop)

    def attend_frames(
        self, q_BhND: Tensor, k_BhTSD: Tensor, v_BhTSD: Tensor, q_grid: Grid
    ) -> Tensor:
        """[B, h, N, T, D]. Clips lie beside heads, so that frames as the batch share the queries uncopied."""
        clips, frames = q_BhND.shape[:2], k_BhTSD.shape[2]
        q_TEND = q_BhND.flatten(0, 1).expand(frames, -1, -1, -1)
        k_TESD, v_TESD = (x.flatten(0, 1).transpose(0, 1) for x in (k_BhTSD, v_BhTSD))
        y_TEND = self.attend(q_TEND, k_TESD, v_TESD, q_grid, q_grid.frame(prefix=0))
        return y_TEND.permute(1, 2, 0, 3).unflatten(0, clips)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The weights [B, h, N, M], without dropout."""
        return key_softmax(q_BhND @ k_BhMD.mT * q_BhND.shape[-1] ** -0.5, valid_BM)

    def dropped_weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The weights, some of them dropped."""
        return self.drop(self.weights(q_BhND, k_BhMD, q_grid, k_grid, valid_BM))


def key_mask(valid_BM: Tensor | None) -> Tensor | None:
    """Keys that are no padding as [B, 1, 1, M], for scores of any heads and queries."""
    return None if valid_BM is None else valid_BM[:, None, None]


def key_softmax(scores_BhNM: Tensor, valid_BM: Tensor | None) -> Tensor:
    """Softmax over the keys that are no padding, zero for the others."""
    mask = key_mask(valid_BM)
    if mask is not None:
        scores_BhNM = scores_BhNM.masked_fill(~mask, -torch.inf)
    return scores_BhNM.softmax(-1)


def softmax_weights(q_BhND: Tensor, k_BhMD: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(D)), [B, h, N, M]."""
    return torch.softmax(q_BhND @ k_BhMD.mT * q_BhND.shape[-1] ** -0.5, dim=-1)


def explicit_softmax(q_BhND: Tensor, k_BhMD: Tensor, v_BhMD: Tensor, drop: float = 0.0) -> Tensor:
    """The reference form: the N x M weights in full, a share `drop` of them dropped."""
    return dropout(softmax_weights(q_BhND, k_BhMD), drop) @ v_BhMD
