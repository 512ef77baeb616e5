"""Where EMIM's affinities say that each token went: its displacement to the next frame.

Shapes: B batch, h heads, T frame pairs, S = H*W tokens of a frame, i j rows and columns of the window.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.emim import Emim


class Displacement(NamedTuple):
    """Displacements (rows, columns) in tokens of every token to the next frame, [T, H, W, 2] each."""

    argmax: Tensor
    soft: Tensor


def window_weights(layer: Emim, x_BNC: Tensor, grid: Grid) -> Tensor:
    """Softmax of the affinities over the window of the next frame, [B, h, T, S, i, j]."""
    affinity = layer.affinity(x_BNC, grid)
    return affinity.flatten(4).softmax(-1).view_as(affinity)


def displacement(weights_TSij: Tensor, grid: Grid) -> Displacement:
    """Strongest cell, and mean of the cells by weight (soft-argmax); cells outside the frame do not count."""
    rows_i, columns_j = (_offsets(size, weights_TSij) for size in weights_TSij.shape[2:])
    inside = _inside(rows_i, columns_j, grid).to(weights_TSij)
    weights_TSK = (weights_TSij * inside).flatten(2)
    offsets_K2 = torch.cartesian_prod(rows_i, columns_j).to(weights_TSK)
    soft = weights_TSK @ offsets_K2 / weights_TSK.sum(-1, keepdim=True).clamp(min=1e-12)
    strongest = offsets_K2[weights_TSK.argmax(-1)]
    return Displacement(*(x.unflatten(1, (grid.h, grid.w)) for x in (strongest, soft)))


def _offsets(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device) - size // 2


def _inside(rows_i: Tensor, columns_j: Tensor, grid: Grid) -> Tensor:
    """Which cells of each token's window lie in the frame, [S, i, j]."""
    position_S = torch.arange(grid.space, device=rows_i.device)
    rows_Si = (position_S // grid.w)[:, None] + rows_i
    columns_Sj = (position_S % grid.w)[:, None] + columns_j
    row_in, column_in = (
        (at >= 0) & (at < size) for at, size in ((rows_Si, grid.h), (columns_Sj, grid.w))
    )
    return row_in[:, :, None] & column_in[:, None, :]
