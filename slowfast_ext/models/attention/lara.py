"""LARA: linear randomised attention by multiple importance sampling (Zheng et al., 2022); RALA is its use
in trajectory attention.

A few proposals, centred on landmarks of queries and keys, stand between the queries and the keys.
Shapes: B batch, N queries, M keys, R landmarks, h heads, D head dim, T frames, S tokens of a frame.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from slowfast_ext.models.attention.base import (
    KERNELS,
    Grid,
    Kernel,
    fp32,
    without_autocast,
)
from slowfast_ext.models.attention.landmarks import segment_means
from slowfast_ext.options import Options, option, section


@section("ATTENTION.LARA", "The lara kernel (LARA, RALA)")
@dataclass(frozen=True)
class LaraOptions(Options):
    """Landmarks, and the weights of the proposals."""

    landmarks: int = option(49, "landmarks of a row (2-D: the next smaller square)", low=1)
    pool: str = option(
        "2d",
        "landmarks are means of pieces of the row (1d), or a grid averaged over time (2d)",
        choices=("1d", "2d"),
    )
    project: bool = option(True, "a learned linear layer and layer norm make the landmarks")
    mixed: bool = option(True, "softmax attention among the key landmarks")
    estimator: str = option(
        "mis-opt",
        "weights of multiple importance sampling",
        choices=("mis-opt", "mis-bh", "mis-biased"),
    )
    alpha: float = option(1.0, "weight of the query-specific part of mis-opt (ImageNet 2.0)", low=0)


@KERNELS.register("lara", LaraOptions)
class Lara(Kernel):
    """Weights of a query over R proposals, of a proposal over the keys (Eq. 13; their Sec. 4).

    Landmarks come from the tokens without prefix; prefix tokens are queries and keys. In training the
    proposals are sampled (standard normal noise), else they are the landmarks: evaluation is repeatable.
    Cost: 2*h*R*(N + M)*D + h*R^2*D, and h*R*N*D but for mis-bh, 2*h*R^2*D mixed, 2*h*R*D^2 projected
    (1-D pooling: h*(N + M)*D^2). To T frames h*R*N*(T - 1)*D more.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        key_grid: Grid,
        dropout: float = 0.0,
        options: LaraOptions = LaraOptions(),
    ) -> None:
        super().__init__(num_heads, head_dim, key_grid, dropout)
        self.landmarks, self.pool = options.landmarks, options.pool
        self.mixed, self.estimator, self.alpha = options.mixed, options.estimator, options.alpha
        self.q_project = _projection(head_dim, options.project)
        self.k_project = _projection(head_dim, options.project)

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
        with without_autocast(v_BhMD):
            (v,) = fp32(v_BhMD)
            over_R, over_M = self._factors(q_BhND, k_BhMD, q_grid, k_grid)
            return (over_R @ (over_M @ v)).to(v_BhMD.dtype)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The implied weights [B, h, N, M] (of the proposals drawn now, in training)."""
        over_R, over_M = self._factors(q_BhND, k_BhMD, q_grid, k_grid)
        return over_R @ over_M

    def attend_frames(
        self, q_BhND: Tensor, k_BhTSD: Tensor, v_BhTSD: Tensor, q_grid: Grid
    ) -> Tensor:
        """[B, h, N, T, D]; the proposals are those of the whole clip (RALA)."""
        T = k_BhTSD.shape[2]
        with without_autocast(v_BhTSD):
            (v,) = fp32(v_BhTSD)
            log_q_BhRN, log_k_BhRM = self._logs(q_BhND, k_BhTSD.flatten(2, 3), q_grid, q_grid)
            log_k_BhTRS = log_k_BhRM.unflatten(-1, (T, -1)).transpose(2, 3)
            gathered_BhTRD = log_k_BhTRS.softmax(-1) @ v
            log_weight_BhTRN = log_q_BhRN.unsqueeze(2) + log_k_BhTRS.logsumexp(-1, keepdim=True)
            y_BhTND = log_weight_BhTRN.softmax(-2).mT @ gathered_BhTRD
        return y_BhTND.transpose(2, 3).to(v_BhTSD.dtype)

    def _factors(
        self, q_BhND: Tensor, k_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> tuple[Tensor, Tensor]:
        """Weights of the queries over the proposals [B, h, N, R], of these over the keys [B, h, R, M]."""
        log_q_BhRN, log_k_BhRM = self._logs(q_BhND, k_BhMD, q_grid, k_grid)
        log_weight_BhRN = log_q_BhRN + log_k_BhRM.logsumexp(-1, keepdim=True)
        return log_weight_BhRN.softmax(-2).mT, log_k_BhRM.softmax(-1)

    def _logs(
        self, q_BhND: Tensor, k_BhMD: Tensor, q_grid: Grid, k_grid: Grid
    ) -> tuple[Tensor, Tensor]:
        """Logarithms of features under the proposals: of queries, with the proposal's weight, and of keys."""
        q, k = fp32(q_BhND, k_BhMD)
        q_bar, k_bar = self._landmarks(q, k, q_grid, k_grid)
        mu = q_bar + k_bar
        omega = mu + torch.randn_like(mu) if self.training else mu
        log_q_BhRN = self.scale * omega @ q.mT + self._correction(mu, omega, q_bar, q)
        return log_q_BhRN, self._log_feature(omega, k)

    def _log_feature(self, omega: Tensor, x: Tensor) -> Tensor:
        """Logarithm of the positive feature of x [.., N, D] under omega [.., R, D], [.., R, N]."""
        return self.scale * (omega @ x.mT - x.square().sum(-1).unsqueeze(-2) / 2)

    def _correction(self, mu: Tensor, omega: Tensor, q_bar: Tensor, q: Tensor) -> Tensor:
        """Log weight less log proposal density of each proposal, [B, h, R, 1 or N]."""
        log_p_BhRR = self._log_feature(omega, mu)
        balance = log_p_BhRR.logsumexp(-1, keepdim=True)
        if self.estimator == "mis-bh":
            return -balance
        if self.estimator == "mis-biased":
            return self.scale * mu @ q.mT - balance
        own = log_p_BhRR.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
        specific = (self.scale * q_bar @ q.mT).softmax(-1)
        specific = specific - specific.mean(-2, keepdim=True)
        alpha = (own - balance).exp() + self.alpha * specific
        return alpha.clamp(min=1e-8).log() - own

    def _landmarks(self, q: Tensor, k: Tensor, q_grid: Grid, k_grid: Grid) -> tuple[Tensor, Tensor]:
        """Landmarks of queries and of keys, as many of each, [B, h, R, D]."""
        q, k = q[:, :, q_grid.prefix :], k[:, :, k_grid.prefix :]
        if self.pool == "1d" or min(q_grid.space, k_grid.space) == 1:
            count = min(self.landmarks, q.shape[2], k.shape[2])
            q_bar, k_bar = (segment_means(x, count) for x in (self.q_project(q), self.k_project(k)))
        else:
            side = int(self.landmarks**0.5)
            rows, columns = min(side, q_grid.h, k_grid.h), min(side, q_grid.w, k_grid.w)
            q_bar = self.q_project(_pooled(q, q_grid, rows, columns))
            k_bar = self.k_project(_pooled(k, k_grid, rows, columns))
        if self.mixed:
            k_bar = (self.scale * k_bar @ k_bar.mT).softmax(-1) @ k_bar
        return q_bar, k_bar


def _pooled(x_BhND: Tensor, grid: Grid, rows: int, columns: int) -> Tensor:
    """Tokens averaged over time, then over rows x columns pieces of the frame, [B, h, R, D]."""
    frame_BhHWD = x_BhND.unflatten(2, (grid.t, grid.h, grid.w)).mean(2)
    pooled = adaptive_avg_pool2d(frame_BhHWD.flatten(0, 1).permute(0, 3, 1, 2), (rows, columns))
    return pooled.flatten(2).mT.unflatten(0, x_BhND.shape[:2])


def _projection(head_dim: int, learned: bool) -> nn.Module:
    if not learned:
        return nn.Identity()
    return nn.Sequential(nn.Linear(head_dim, head_dim), nn.LayerNorm(head_dim))
