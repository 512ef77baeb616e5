"""Nystromformer: softmax attention through means of queries and of keys (Xiong et al., 2021).

weights = softmax(Q k^T) pinv(softmax(q k^T)) softmax(q K^T), with the means q, k of segments of tokens that
follow one another in time at a place, then from place to place, without a gradient (Motionformer).
Shapes: B batch, N queries, M keys, R segments, h heads, D head dim, T frames, S tokens of a frame.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from yacs.config import CfgNode

from slowfast_ext.models.attention.base import (
    KERNELS,
    Grid,
    Kernel,
    LayerSpec,
    fp32,
    without_autocast,
)
from slowfast_ext.models.attention.landmarks import place_major, segment_means


@KERNELS.register("nystrom")
class Nystrom(Kernel):
    """Linear in the tokens; ATTENTION.DROPOUT has no effect; no convolution beside it.

    Cost: h*R*(2*N + 2*M + R)*D + 4*steps*h*R^3 + h*N*R^2; to T frames h*R*(N*(T + 1) + 2*M + R)*D and the rest.
    """

    def __init__(self, spec: LayerSpec, cfg: CfgNode, key_grid: Grid) -> None:
        super().__init__(spec, cfg, key_grid)
        self.most, self.steps = cfg.NYSTROM.LANDMARKS, cfg.NYSTROM.INVERSE_STEPS

    def attend(
        self, q_BhND: Tensor, k_BhMD: Tensor, v_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> Tensor:
        """Weighted values [B, h, N, D]."""
        weights_BhNR, means_BhRD = self._factors(q_BhND, k_BhMD, q_grid, k_grid)
        return weights_BhNR @ scaled_dot_product_attention(means_BhRD, k_BhMD, v_BhMD, scale=1.0)

    def weights(self, q_BhND: Tensor, k_BhMD: Tensor, q_grid: Grid, k_grid: Grid) -> Tensor:
        """The implied weights [B, h, N, M]; not all are positive."""
        weights_BhNR, means_BhRD = self._factors(q_BhND, k_BhMD, q_grid, k_grid)
        return weights_BhNR @ (means_BhRD @ k_BhMD.mT).softmax(-1)

    def attend_frames(
        self, q_BhND: Tensor, k_BhTSD: Tensor, v_BhTSD: Tensor, q_grid: Grid
    ) -> Tensor:
        """[B, h, N, T, D]; segments run over the whole clip, the last softmax over a frame."""
        T, D = k_BhTSD.shape[2], k_BhTSD.shape[4]
        k_BhMD = k_BhTSD.flatten(2, 3)
        weights_BhNR, means_BhRD = self._factors(q_BhND, k_BhMD, q_grid, q_grid)
        rows = means_BhRD[:, :, None].expand(-1, -1, T, -1, -1)
        folded = (x.flatten(1, 2) for x in (rows, k_BhTSD, v_BhTSD))
        gathered_BhTRD = scaled_dot_product_attention(*folded, scale=1.0).unflatten(1, (-1, T))
        return (weights_BhNR @ gathered_BhTRD.transpose(2, 3).flatten(3)).unflatten(-1, (T, D))

    def _factors(
        self, q_BhND: Tensor, k_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> tuple[Tensor, Tensor]:
        """Weights of queries over segments [B, h, N, R] and scaled mean queries [B, h, R, D]."""
        count = min(self.most, q_BhND.shape[2], k_BhMD.shape[2])
        with without_autocast(q_BhND):
            q, k = fp32(q_BhND * self.scale, k_BhMD)
            q_means_BhRD = segment_means(place_major(q.detach(), q_grid), count)
            k_means_BhRD = segment_means(place_major(k.detach(), k_grid), count)
            core_BhRR = (q_means_BhRD @ k_means_BhRD.mT).softmax(-1)
            to_segments_BhNR = (q @ k_means_BhRD.mT).softmax(-1)
            weights_BhNR = to_segments_BhNR @ iterative_inverse(core_BhRR, self.steps)
        return weights_BhNR.to(q_BhND.dtype), q_means_BhRD.to(q_BhND.dtype)


def iterative_inverse(x_BhRR: Tensor, steps: int) -> Tensor:
    """Pseudo-inverse of matrices whose rows sum to one, by `steps` third-order iterations (Eq. 11)."""
    identity = torch.eye(x_BhRR.shape[-1], dtype=x_BhRR.dtype, device=x_BhRR.device)
    inverse = x_BhRR.mT / x_BhRR.sum(-2, keepdim=True).amax(-1, keepdim=True)
    for _ in range(steps):
        product = x_BhRR @ inverse
        inner = 15 * identity - product @ (7 * identity - product)
        inverse = 0.25 * inverse @ (13 * identity - product @ inner)
    return inverse
