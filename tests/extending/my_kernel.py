"""A kernel with options of its own: linear attention with squared features."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from slowfast_ext.models.attention import KERNELS, Grid, Kernel
from slowfast_ext.models.attention.linear import linear_attention, linear_weights
from slowfast_ext.options import Options, option, section


@section("ATTENTION.SQUARE", "The kernel `square`")
@dataclass(frozen=True)
class SquareOptions(Options):
    """What is added to each feature."""

    offset: float = option(0.1, "added to every feature", low=0)


@KERNELS.register("square", SquareOptions)
class Square(Kernel):
    """f(x) = x^2 + offset. Cost: h*(M + N)*D^2."""

    has_feature_map: ClassVar[bool] = True

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        key_grid: Grid,
        dropout: float = 0.0,
        options: SquareOptions = SquareOptions(),
    ) -> None:
        super().__init__(num_heads, head_dim, key_grid, dropout)
        self.offset = options.offset

    def feature_map(self, x_BhND: Tensor) -> Tensor:
        """f(x)."""
        return x_BhND.square() + self.offset

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
        return linear_attention(q_BhND, k_BhMD, v_BhMD, clamp=1e-6)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The implied weights [B, h, N, M]."""
        return linear_weights(q_BhND, k_BhMD, clamp=1e-6)
