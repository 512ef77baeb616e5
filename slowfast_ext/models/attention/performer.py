"""Performer: softmax attention through positive orthogonal random features (FAVOR+; Choromanski et al., 2021).

phi(x) = m^-1/2 exp(W x - |x|^2/2 - c), x scaled by D^-1/4, c the largest W x of a query, or of all keys.
Then linear attention with phi(q), phi(k).
Shapes: B batch, N queries, M keys, m features, h heads, D head dim, T frames, S tokens of a frame.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from slowfast_ext.models.attention.base import (
    KERNELS,
    Grid,
    Kernel,
    fp32,
    summable,
    without_autocast,
)
from slowfast_ext.models.attention.linear import key_sum, linear_attention, linear_weights
from slowfast_ext.options import Options, option, section


@section("ATTENTION.PERFORMER", "The performer kernel (FAVOR+)")
@dataclass(frozen=True)
class PerformerOptions(Options):
    """The random features."""

    features: int = option(256, "random features of a head (LARA's baseline: 64)", low=1)
    variant: str = option(
        "shared",
        "shared: features shared by heads (Motionformer); per_head: LARA's baseline",
        choices=("shared", "per_head"),
    )
    redraw: str = option(
        "step",
        "features in training: drawn at every step, or fixed; evaluation uses fixed ones",
        choices=("step", "never"),
    )


@KERNELS.register("performer", PerformerOptions)
class Performer(Kernel):
    """Linear in the tokens; ATTENTION.DROPOUT has no effect.

    Evaluation uses the buffer `projection`. Variant shared: offset 1e-6 on the exponentials, orthogonal
    features shared by heads. Variant per_head: offset 1e-4 on the features, normaliser at least 0.01, Gaussian
    features when drawn in training.
    Cost: h*m*(N + M)*D for the features, h*m*((N + M)*D + N) to attend; to T frames h*m*((M + T*N)*D + T*N).
    """

    projection: Tensor

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        key_grid: Grid,
        dropout: float = 0.0,
        options: PerformerOptions = PerformerOptions(),
    ) -> None:
        super().__init__(num_heads, head_dim, key_grid, dropout)
        self.redraws = options.redraw == "step"
        self.per_head = options.variant == "per_head"
        self.offset = 1e-4 if self.per_head else 1e-6 * options.features**-0.5
        self.clamp = 1e-2 if self.per_head else 0.0
        heads = num_heads if self.per_head else 1
        drawn = orthogonal_features(heads, options.features, head_dim)
        self.register_buffer("projection", drawn)

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
        return linear_attention(*self.features(q_BhND, k_BhMD), v_BhMD, self.clamp)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The implied weights [B, h, N, M] (of the features drawn now, in training)."""
        return linear_weights(*self.features(q_BhND, k_BhMD), self.clamp)

    def attend_frames(
        self, q_BhND: Tensor, k_BhTSD: Tensor, v_BhTSD: Tensor, q_grid: Grid
    ) -> Tensor:
        """[B, h, N, T, D]; features are made once, each frame has its own normaliser."""
        T, S, D = k_BhTSD.shape[2:]
        phi_q_BhNm, phi_k_BhMm = self.features(q_BhND, k_BhTSD.flatten(2, 3))
        with without_autocast(v_BhTSD):
            (v,) = summable(v_BhTSD)
            phi_q_BhNm, phi_k_BhMm = phi_q_BhNm.to(v.dtype), phi_k_BhMm.to(v.dtype)
            phi_k_BhTSm = phi_k_BhMm.unflatten(2, (T, S))
            gathered_BhmE = (phi_k_BhTSm.mT @ v).transpose(2, 3).flatten(3)
            normaliser_BhNT = (phi_q_BhNm @ key_sum(phi_k_BhTSm).mT).clamp(min=self.clamp)
            y_BhNTD = (phi_q_BhNm @ gathered_BhmE).unflatten(-1, (T, D))
            return (y_BhNTD / normaliser_BhNT[..., None]).to(v_BhTSD.dtype)

    def features(self, q_BhND: Tensor, k_BhMD: Tensor) -> tuple[Tensor, Tensor]:
        """phi(q) [B, h, N, m] and phi(k) [B, h, M, m], in single precision."""
        with without_autocast(q_BhND):
            projection_hmD = self._draw().to(torch.promote_types(q_BhND.dtype, torch.float32))
            q, k = (x * self.scale**0.5 for x in fp32(q_BhND, k_BhMD))
            return (
                self._feature(q, projection_hmD, over=(-1,)),
                self._feature(k, projection_hmD, over=(-2, -1)),
            )

    def _feature(self, x_BhND: Tensor, projection_hmD: Tensor, over: tuple[int, ...]) -> Tensor:
        u_BhNm = x_BhND @ projection_hmD.mT
        largest = u_BhNm.detach().amax(over, keepdim=True)
        shift = x_BhND.square().sum(-1, keepdim=True) / 2 + largest + math.log(u_BhNm.shape[-1]) / 2
        # In place: nothing else here is as large as features, and new memory costs more than the sums.
        return u_BhNm.sub_(shift).exp_() + self.offset

    def _draw(self) -> Tensor:
        if not (self.training and self.redraws):
            return self.projection
        if self.per_head:
            return torch.randn_like(self.projection)
        heads, features, head_dim = self.projection.shape
        return orthogonal_features(heads, features, head_dim, self.projection.device)


def orthogonal_features(
    heads: int, features: int, head_dim: int, device: torch.device | None = None
) -> Tensor:
    """[heads, features, head_dim]: rows orthogonal in blocks of head_dim, as long as Gaussian ones.

    Rows L^-1 G of a Gaussian G with G G^T = L L^T are orthogonal and uniformly so. In double precision, where that is
    exact enough, it takes a handful of kernels for all blocks, where a QR decomposition takes some for every block.
    """
    blocks = -(-features // head_dim)
    gaussian = torch.randn(heads, blocks, head_dim, head_dim, device=device).double()
    products = gaussian @ gaussian.mT
    products.diagonal(dim1=-2, dim2=-1).add_(_LEAST)
    lower = torch.linalg.cholesky_ex(products).L
    rows = torch.linalg.solve_triangular(lower, gaussian, upper=False).float().flatten(1, 2)
    lengths = torch.randn(heads, features, head_dim, device=device).norm(dim=-1, keepdim=True)
    return rows[:, :features] * lengths


_LEAST = 1e-9
"""Keeps Gaussian matrices that happen to be singular away from it."""
