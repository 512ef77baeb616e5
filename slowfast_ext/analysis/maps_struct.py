"""StructSA's attention maps, aggregation patterns and dynamic kernels (StructViT, Fig. 2 and 3).

The dynamic kernel of query i at position j is kappa_ij = sum_e sigma_je u_e: weights of the E structures there times
their aggregation patterns U^V (Eq. 5).

Shapes: h heads, N queries, T H W grid of the keys (H and W after the stride), E structures, C channels,
D head dim, t i j extent of a pattern.
"""

import torch
from torch import Tensor

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.structsa import Struct


def structure_maps(layer: Struct, x_BNC: Tensor, grid: Grid) -> Tensor:
    """Attention maps [B, h, N, T, H, W, E] of the patch queries, one for each structure (Fig. 2a)."""
    stride = layer.keys.stride[1]
    sides = (-(-grid.h // stride), -(-grid.w // stride))
    return layer.weights(x_BNC, grid).unflatten(3, (grid.t, *sides))


def aggregation_patterns(layer: Struct) -> Tensor:
    """U^V of every channel, [h, D, E, t, i, j]; a channel mean over D is what Fig. 2b shows."""
    weight_CEtij = layer.values.weight.squeeze(1).unflatten(0, (-1, layer.values.structures))
    weight_CEtij = weight_CEtij.expand(layer.values.dim, *weight_CEtij.shape[1:])
    return weight_CEtij.unflatten(0, (layer.num_heads, -1))


def dynamic_kernels(weights_hxE: Tensor, patterns_hEtij: Tensor) -> Tensor:
    """kappa [h, .., t, i, j] from the weights [h, .., E] of one query at any positions (Fig. 2c; Fig. 3 at its own)."""
    return torch.einsum("h...e,hetij->h...tij", weights_hxE, patterns_hEtij)


def mosaic(kernels_HWij: Tensor) -> Tensor:
    """Kernels side by side at their positions, one image [H*i, W*j]."""
    return kernels_HWij.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
