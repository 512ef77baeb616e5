"""Nystromformer: softmax attention through means of queries and of keys (Xiong et al., 2021).

weights = softmax(Q k^T) pinv(softmax(q k^T)) softmax(q K^T), with the means q, k of segments of tokens that
follow one another in time at a position, then from position to position, without a gradient (Motionformer).
Shapes: B batch, N queries, M keys, R segments, h heads, D head dim, T frames, S tokens of a frame.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention.base import (
    KERNELS,
    Grid,
    Kernel,
    fp32,
    without_autocast,
)
from slowfast_ext.models.attention.fused import fused_attention
from slowfast_ext.models.attention.landmarks import position_major, segment_means
from slowfast_ext.models.attention.softmax import key_mask, key_softmax
from slowfast_ext.options import Options, option, section


@section("ATTENTION.NYSTROM", "The nystrom kernel (Nystromformer)")
@dataclass(frozen=True)
class NystromOptions(Options):
    """Segments, pseudo-inverse and the convolution beside."""

    landmarks: int = option(128, "segments of a row; at most its tokens", low=1)
    inverse_steps: int = option(6, "iterations of the pseudo-inverse", low=1)
    conv: int = option(
        0,
        "odd size of a convolution of the values along the tokens, beside the attention (35 in Long Range Arena); 0: none",
        unit="tokens",
        low=0,
    )

    def check(self) -> None:
        """The convolution has a centre."""
        if self.conv and self.conv % 2 == 0:
            raise self.error("conv", f"= {self.conv} is even", "give an odd size, or 0 for none")


@KERNELS.register("nystrom", NystromOptions)
class Nystrom(Kernel):
    """Linear in the tokens; ATTENTION.DROPOUT has no effect.

    With NYSTROM.CONV the values also pass beside it through a convolution along the tokens, one for each head
    (Sec. 3.3 of Xiong et al.); Motionformer has none.
    Cost: 2*h*R*(N + M + R)*D + 4*steps*h*R^3; to T frames h*R*(N*(T + 1) + 2*M + R*(T + 1))*D and the rest.
    The convolution adds h*CONV*N*D.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        key_grid: Grid,
        dropout: float = 0.0,
        options: NystromOptions = NystromOptions(),
    ) -> None:
        super().__init__(num_heads, head_dim, key_grid, dropout)
        self.most, self.steps = options.landmarks, options.inverse_steps
        self.conv = _token_conv(num_heads, options.conv)

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
        q, q_means, k_means, inverse = self._segments(q_BhND, k_BhMD, q_grid, k_grid)
        mask = key_mask(valid_BM)
        gathered_BhRD = fused_attention(q_means, k_BhMD, v_BhMD, mask, scale=1.0)
        mixed_BhRD = _mixed(inverse, gathered_BhRD)
        y_BhND = fused_attention(q, k_means, mixed_BhRD, scale=1.0)
        return y_BhND if self.conv is None else y_BhND + self._beside(v_BhMD, q_grid, k_grid)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The implied weights [B, h, N, M]; not all are positive."""
        q, q_means, k_means, inverse = self._segments(q_BhND, k_BhMD, q_grid, k_grid)
        over_keys_BhRM = key_softmax(q_means @ k_BhMD.mT, valid_BM)
        weights_BhNM = (q @ k_means.mT).softmax(-1) @ _mixed(inverse, over_keys_BhRM)
        if self.conv is None:
            return weights_BhNM
        identity = torch.eye(k_BhMD.shape[2], dtype=k_BhMD.dtype, device=k_BhMD.device)
        every_head = identity.expand(1, k_BhMD.shape[1], -1, -1)
        return weights_BhNM + self._beside(every_head, q_grid, k_grid)

    def attend_frames(
        self, q_BhND: Tensor, k_BhTSD: Tensor, v_BhTSD: Tensor, q_grid: Grid
    ) -> Tensor:
        """[B, h, N, T, D]; segments run over the whole clip, the last softmax over a frame."""
        if self.conv is not None:
            raise ConfigError(_NO_CONV)
        T, D = k_BhTSD.shape[2], k_BhTSD.shape[4]
        q, q_means, k_means, inverse = self._segments(q_BhND, k_BhTSD.flatten(2, 3), q_grid, q_grid)
        rows = q_means[:, :, None].expand(-1, -1, T, -1, -1)
        rows_TR, keys_TS, values_TS = (x.flatten(1, 2) for x in (rows, k_BhTSD, v_BhTSD))
        gathered = fused_attention(rows_TR, keys_TS, values_TS, scale=1.0)
        gathered_BhTRD = gathered.unflatten(1, (-1, T))
        mixed_BhRE = _mixed(inverse, gathered_BhTRD.transpose(2, 3).flatten(3))
        weights_BhNR = (q @ k_means.mT).softmax(-1).to(mixed_BhRE.dtype)
        return (weights_BhNR @ mixed_BhRE).unflatten(-1, (T, D))

    def _beside(self, v_BhMD: Tensor, q_grid: Grid, k_grid: Grid) -> Tensor:
        if self.conv is None or q_grid != k_grid:
            raise ConfigError(_NO_CONV)
        return self.conv(v_BhMD)

    def _segments(
        self, q_BhND: Tensor, k_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scaled queries, means of queries and of keys [B, h, R, D], and the pseudo-inverse between them.

        Only what has R rows is in single precision: means are sums, and the iterations do not forgive rounding.
        """
        count = min(self.most, q_BhND.shape[2], k_BhMD.shape[2])
        q = q_BhND * self.scale
        with without_autocast(q_BhND):
            q_means_BhRD, k_means_BhRD = (
                segment_means(position_major(x.detach(), grid), count)
                for x, grid in ((q, q_grid), (k_BhMD, k_grid))
            )
            wide_q, wide_k = fp32(q_means_BhRD, k_means_BhRD)
            inverse = iterative_inverse((wide_q @ wide_k.mT).softmax(-1), self.steps)
        return q, q_means_BhRD, k_means_BhRD, inverse


def _mixed(inverse_BhRR: Tensor, gathered_BhRE: Tensor) -> Tensor:
    """The pseudo-inverse times what the segments gathered, in single precision: its entries are large and cancel."""
    with without_autocast(gathered_BhRE):
        return (inverse_BhRR @ gathered_BhRE.to(inverse_BhRR.dtype)).to(gathered_BhRE.dtype)


_NO_CONV = (
    "ATTENTION.NYSTROM.CONV: the convolution needs queries and keys of the same tokens; "
    "set it to 0 or use ATTENTION.CYCLE [joint]"
)


def _token_conv(heads: int, size: int) -> nn.Conv2d | None:
    """[B, h, N, D] -> the same: along the tokens, one kernel a head."""
    if not size:
        return None
    return nn.Conv2d(heads, heads, (size, 1), padding=(size // 2, 0), groups=heads, bias=False)


def iterative_inverse(x_BhRR: Tensor, steps: int) -> Tensor:
    """Pseudo-inverse of matrices whose rows sum to one, by `steps` third-order iterations (Eq. 11)."""
    x_ERR = x_BhRR.flatten(0, -3)
    inverse = x_ERR.mT / x_ERR.sum(-2, keepdim=True).amax(-1, keepdim=True)
    # With P = X Z: Z (13 - P (15 - P (7 - P))) / 4, multiplied out into four products.
    for _ in range(steps):
        product = torch.bmm(x_ERR, inverse)
        square = torch.baddbmm(product, product, product, beta=-7)
        cube = torch.baddbmm(product, product, square, beta=15)
        inverse = torch.baddbmm(inverse, inverse, cube, beta=3.25, alpha=-0.25)
    return inverse.view_as(x_BhRR)
