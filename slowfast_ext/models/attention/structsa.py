"""Structural self-attention: softmax over the structures found in the correlation map of each query.

Kim et al., "Learning Correlation Structures for Vision Transformers" (StructViT). A convolution of the correlation
map q K^T is the correlation of q with convolved keys, so Eq. 2 to 5 are one softmax attention over E*N' keys and
values, those of a depthwise convolution with E outputs a channel; no correlation map is ever stored.

Shapes: B batch, N tokens (prefix P first, then time-major), C channels, h heads, D head dim, T H W grid,
E structures (the paper's D), N' = T * ceil(H/stride) * ceil(W/stride), M = E*N' keys.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from slowfast_ext.models.attention.base import ATTENTION, Attention, AttentionSpec
from slowfast_ext.models.attention.fused import fused_attention
from slowfast_ext.models.attention.grid import Grid
from slowfast_ext.models.attention.softmax import explicit_softmax
from slowfast_ext.models.attention.structsa_map import correlation_map_attention
from slowfast_ext.models.depthwise import depthwise_conv3d
from slowfast_ext.options import Options, option, section

Size3d = tuple[int, int, int]


@section("ATTENTION.STRUCTSA", "Structural self-attention (StructViT), the variant `struct`")
@dataclass(frozen=True)
class StructsaOptions(Options):
    """What a structure is, and where keys and values are taken."""

    structures: int = option(
        4, "structures that are told apart; 1: convolutional projections (ConvSA)", key="D", low=1
    )
    kernel: tuple[int, ...] = option(
        (3, 3, 3),
        "extent of a structure, odd: time, rows, columns",
        unit="tokens",
        low=1,
        length=3,
        per_stage=True,
    )
    stride: int = option(
        1,
        "every so many rows and columns of keys and values (StructViT-x-x-2: 2)",
        unit="tokens",
        low=1,
        per_stage=True,
    )
    aggregation: str = option(
        "context",
        "what a structure collects: the values around a position, or its own value",
        choices=("context", "element"),
    )
    shared: bool = option(
        False, "one set of structures for all channels, as in the paper's equations"
    )

    def check(self) -> None:
        """Structures are centred."""
        sizes: Any = self.kernel if self.is_per_stage("kernel") else (self.kernel,)
        if not all(len(size) == 3 and all(side % 2 for side in size) for size in sizes):
            raise self.error("kernel", "has no centre", "give three odd sizes, e.g. [3, 3, 3]")


class Structures(nn.Module):
    """E depthwise kernels a channel without bias (output c*E + e), or E kernels that all channels share."""

    def __init__(
        self, dim: int, structures: int, kernel: Size3d, stride: int, shared: bool
    ) -> None:
        super().__init__()
        self.dim, self.structures, self.stride = dim, structures, (1, stride, stride)
        channels = structures if shared else dim * structures
        self.weight = nn.Parameter(torch.empty(channels, 1, *kernel))
        self.init_weights()

    def init_weights(self) -> None:
        """As a convolution starts."""
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x_BhND: Tensor, grid: Grid) -> Tensor:
        """Patch tokens [B, h, N, D] -> [B, h, M, D], structures of a position side by side."""
        heads = x_BhND.shape[1]
        x_BTHWC = x_BhND.transpose(1, 2).flatten(2).unflatten(1, (grid.t, grid.h, grid.w))
        y_BTHWE = depthwise_conv3d(x_BTHWC, self._kernels(), stride=self.stride)
        return (
            y_BTHWE.flatten(1, 3)
            .unflatten(-1, (self.structures, heads, -1))
            .flatten(1, 2)
            .transpose(1, 2)
        )

    def _kernels(self) -> Tensor:
        """[E*C, 1, kt, kh, kw], structure by structure, so that heads come out as whole rows."""
        kernels_CE = self.weight.unflatten(0, (-1, self.structures))
        return kernels_CE.expand(self.dim, *kernels_CE.shape[1:]).transpose(0, 1).flatten(0, 1)


@ATTENTION.register("struct", StructsaOptions)
class Struct(Attention):
    """Attention to E structures at each position; one softmax over all of them.

    Prefix tokens (cls) have no neighbourhood: they query like the others and are keys and values as they are,
    one each beside the structures. Cost: 4*(P + N)*C^2 + 2*(P + N)*(P + M)*C + 2*M*C*kt*kh*kw multiply-adds
    for N patches (element aggregation: M*C*(kt*kh*kw + 1) for the convolutions).
    """

    def __init__(self, spec: AttentionSpec, options: StructsaOptions = StructsaOptions()) -> None:
        super().__init__(spec)
        kt, kh, kw = options.kernel
        around = (kt, kh, kw) if options.aggregation == "context" else (1, 1, 1)
        shape = (options.stride, options.shared)
        self.keys = Structures(spec.dim, options.structures, (kt, kh, kw), *shape)
        self.values = Structures(spec.dim, options.structures, around, *shape)
        self.reference, self.shared = spec.attention.reference, options.shared
        self.dropout = spec.attention.dropout

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        q, k, v = self.apply_steps(*self.split_heads(x_BNC), grid)
        drop = self.dropout if self.training else 0.0
        if self.reference:
            return self.merge_heads(self._reference(q, k, v, grid, drop))
        k, v = self._structured(self.keys, k, grid), self._structured(self.values, v, grid)
        return self.merge_heads(fused_attention(q, k, v, dropout=drop))

    def weights(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """Attention of the patches to structures [B, h, N, N', E], what prefix keys take left out."""
        q, k, _ = self.apply_steps(*self.split_heads(x_BNC), grid)
        k = self._structured(self.keys, k, grid)
        weights_BhNM = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, dim=-1)
        return weights_BhNM[:, :, grid.prefix :, grid.prefix :].unflatten(
            -1, (-1, self.keys.structures)
        )

    def _structured(self, structures: Structures, x_BhND: Tensor, grid: Grid) -> Tensor:
        prefix, patches = x_BhND.tensor_split([grid.prefix], dim=2)
        found_BhMD = structures(patches, grid)
        return torch.cat([prefix, found_BhMD], dim=2) if grid.prefix else found_BhMD

    def _reference(self, q: Tensor, k: Tensor, v: Tensor, grid: Grid, drop: float) -> Tensor:
        """The reference form: the paper's convolution of the correlation map where channels share it."""
        if self.shared and not grid.prefix:
            return correlation_map_attention(
                q, k, v, self.keys.weight, self.values.weight, self.keys.stride, grid, drop
            )
        k, v = self._structured(self.keys, k, grid), self._structured(self.values, v, grid)
        return explicit_softmax(q, k, v, drop)
