"""Linformer: softmax attention over a fixed number of learned mixtures of keys (Wang et al., 2020, Eq. 7).

Shapes: B batch, N queries, M keys, R mixtures, h heads, D head dim.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention.base import KERNELS, Grid, Kernel
from slowfast_ext.models.attention.fused import fused_attention
from slowfast_ext.options import Options, option, section


@section("ATTENTION.LINFORMER", "The linformer kernel")
@dataclass(frozen=True)
class LinformerOptions(Options):
    """How many mixtures."""

    dim: int = option(256, "mixtures that stand for the keys of a row", low=1)


@KERNELS.register("linformer", LinformerOptions)
class Linformer(Kernel):
    """softmax(q (E k)^T / sqrt(D)) (F v), with E, F [R, M] shared by the heads.

    E and F belong to one number of keys: a model takes clips of the size that it is built for.
    Cost: 2*h*R*M*D + 2*h*N*R*D.
    """

    fixed_keys: ClassVar[bool] = True

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        key_grid: Grid,
        dropout: float = 0.0,
        options: LinformerOptions = LinformerOptions(),
    ) -> None:
        super().__init__(num_heads, head_dim, key_grid, dropout)
        shape = (options.dim, key_grid.tokens)
        self.key_mix, self.value_mix = (nn.Parameter(torch.empty(shape)) for _ in range(2))
        for mix in (self.key_mix, self.value_mix):
            nn.init.normal_(mix, std=key_grid.tokens**-0.5)

    def attend(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        v_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """Weighted values [B, h, N, D]. Raises ConfigError for another number of keys than built for."""
        self._check(k_BhMD)
        k, v = self.key_mix @ k_BhMD, self.value_mix @ v_BhMD
        dropout = self.dropout if self.training else 0.0
        return fused_attention(q_BhND, k, v, dropout=dropout)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The implied weights [B, h, N, M]; of either sign, as E and F are."""
        return self._mixtures(q_BhND, k_BhMD) @ self.value_mix

    def dropped_weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The weights of the keys where some of the mixtures are dropped."""
        return self.drop(self._mixtures(q_BhND, k_BhMD)) @ self.value_mix

    def _mixtures(self, q_BhND: Tensor, k_BhMD: Tensor) -> Tensor:
        """Weights of the mixtures, [B, h, N, R]."""
        return torch.softmax(q_BhND @ (self.key_mix @ k_BhMD).mT * self.scale, dim=-1)

    def _check(self, k_BhMD: Tensor) -> None:
        if k_BhMD.shape[2] != self.key_mix.shape[1]:
            raise ConfigError(
                f"ATTENTION.KERNEL linformer is built for {self.key_mix.shape[1]} keys a row and got "
                f"{k_BhMD.shape[2]}; give clips of DATA.NUM_FRAMES frames and DATA.TRAIN_CROP_SIZE "
                "pixels, or another kernel"
            )
