"""Linear attention with an elementwise feature map (Katharopoulos et al., 2020; feature fixation, Eq. 3).

y_i = f(q_i) (sum_j f(k_j)^T v_j) / (f(q_i) . sum_j f(k_j)), no scaling of the scores. Keys meet values
first, so no N x M tensor ever exists. There are no weights to drop: ATTENTION.DROPOUT has no effect.
Shapes: B batch, N queries, M keys, h heads, D head dim.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from slowfast_ext.models.attention.base import (
    KERNELS,
    Grid,
    Kernel,
    summable,
    without_autocast,
)
from slowfast_ext.options import Options, option, section


@section(
    "ATTENTION.LINEAR", "Kernels with an elementwise feature map (relu, elu, sigmoid, cosformer)"
)
@dataclass(frozen=True)
class LinearOptions(Options):
    """What the elementwise feature maps have in common."""

    offset: float = option(0.0, "added to every feature (LARA's baselines: 0.1)", low=0)
    clamp: float = option(1e-06, "least normaliser of a row (LARA's baselines: 0.01)", low=0)


class Linear(Kernel):
    """f(x) = feature(x) + LINEAR.OFFSET; the normaliser is at least LINEAR.CLAMP.

    Cost: h*(M + N)*D^2 + h*N*D multiply-adds, the last term for the normaliser.
    """

    has_feature_map: ClassVar[bool] = True

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        key_grid: Grid,
        dropout: float = 0.0,
        options: LinearOptions = LinearOptions(),
    ) -> None:
        super().__init__(num_heads, head_dim, key_grid, dropout)
        self.offset, self.clamp = options.offset, options.clamp

    def feature(self, x_BhND: Tensor) -> Tensor:
        """A function of each element, nowhere negative."""
        raise NotImplementedError

    def feature_map(self, x_BhND: Tensor) -> Tensor:
        """f(x) of queries and keys."""
        return self.feature(x_BhND) + self.offset

    def attend(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        v_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """Weighted values [B, h, N, D] of mapped queries and keys."""
        return linear_attention(q_BhND, k_BhMD, v_BhMD, self.clamp)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The implied weights [B, h, N, M]."""
        return linear_weights(q_BhND, k_BhMD, self.clamp)


@KERNELS.register("relu", LinearOptions)
class Relu(Linear):
    """f = ReLU."""

    def feature(self, x_BhND: Tensor) -> Tensor:
        """max(x, 0)."""
        return torch.relu(x_BhND)


@KERNELS.register("elu", LinearOptions)
class Elu(Linear):
    """f = ELU + 1."""

    def feature(self, x_BhND: Tensor) -> Tensor:
        """exp(x) below 0, x + 1 above, without the cancellation of elu(x) + 1 in low precision."""
        return x_BhND.clamp(max=0).exp() + torch.relu(x_BhND)


@KERNELS.register("sigmoid", LinearOptions)
class Sigmoid(Linear):
    """f = sigmoid."""

    def feature(self, x_BhND: Tensor) -> Tensor:
        """1 / (1 + exp(-x))."""
        return torch.sigmoid(x_BhND)


def linear_attention(q_BhNE: Tensor, k_BhME: Tensor, v_BhMD: Tensor, clamp: float) -> Tensor:
    """q (k^T v) / max(q . sum k, clamp), [B, h, N, D], in the precision of the values, fp16 in single precision."""
    with without_autocast(v_BhMD):
        (v,) = summable(v_BhMD)
        q, k = q_BhNE.to(v.dtype), k_BhME.to(v.dtype)
        normaliser = q @ key_sum(k).unsqueeze(-1)
        return (q @ (k.mT @ v) / normaliser.clamp(min=clamp)).to(v_BhMD.dtype)


def key_sum(k: Tensor) -> Tensor:
    """Keys [.., M, E] summed in single precision at least, [.., E]."""
    return k.sum(dim=-2, dtype=torch.promote_types(k.dtype, torch.float32)).to(k.dtype)


def linear_weights(q_BhNE: Tensor, k_BhME: Tensor, clamp: float) -> Tensor:
    """The weights [B, h, N, M] of linear_attention in full: its reference form."""
    scores_BhNM = q_BhNE @ k_BhME.mT
    return scores_BhNM / scores_BhNM.sum(-1, keepdim=True).clamp(min=clamp)
