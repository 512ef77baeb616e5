"""A window of another frame's tokens around each query, without unfolding keys and values.

Facts: Zhuang et al., "A Renaissance of Explicit Motion Information Mining from Transformers for Action
Recognition", and the published kernels. Windows are always centred; cells beyond the border are tokens that hold
1e-6 in every channel, and stay in the softmax.

Shapes: B batch, h heads, T frames, S = H*W tokens of a frame, D head dim, K cells of a window (row, then column).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import dropout, pad

_BORDER = 1e-6


def window_attention(
    q_BhTSD: Tensor,
    k_BhTSD: Tensor,
    v_BhTSD: Tensor,
    bias_hij: Tensor,
    size: tuple[int, int],
    drop: float = 0.0,
    index_SK: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Affinities [B, h, T, S, K] of each query with its window, and their softmax over it applied to values.

    `bias_hij` is added to the affinities, its shape is that of the window; `size` is (H, W), `index_SK` the window_index
    of both where it is at hand. All scores of a frame pair come from one matrix product, of which the band that the
    windows need is taken: S*(S + K) numbers a frame for a moment, S*K to be saved, where windows of keys and values
    would be 2*S*K*D.
    """
    if index_SK is None:
        index_SK = window_index(size, bias_hij.shape[1:], q_BhTSD.device)
    cells = index_SK.shape[1]
    k_BhTMD, v_BhTMD = (pad(x, (0, 0, 0, cells), value=_BORDER) for x in (k_BhTSD, v_BhTSD))
    scores_BhTSM = q_BhTSD * q_BhTSD.shape[-1] ** -0.5 @ k_BhTMD.mT
    affinity_BhTSK = _TakeColumns.apply(scores_BhTSM, index_SK) + bias_hij.flatten(1)[:, None, None]
    weights_BhTSK = dropout(affinity_BhTSK.softmax(-1), drop).to(v_BhTSD.dtype)
    return affinity_BhTSK, _SumColumns.apply(weights_BhTSK, index_SK, v_BhTMD)


def explicit_window_attention(
    q_BhTSD: Tensor,
    k_BhTSD: Tensor,
    v_BhTSD: Tensor,
    bias_hij: Tensor,
    size: tuple[int, int],
    drop: float = 0.0,
    index_SK: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The reference form: keys and values of every window side by side."""
    k_BhTSDK, v_BhTSDK = (_unfold(x, size, bias_hij.shape[1:]) for x in (k_BhTSD, v_BhTSD))
    scores_BhTSK = (
        torch.einsum("bhtsd,bhtsdk->bhtsk", q_BhTSD, k_BhTSDK) * q_BhTSD.shape[-1] ** -0.5
    )
    affinity_BhTSK = scores_BhTSK + bias_hij.flatten(1)[:, None, None]
    weights_BhTSK = dropout(affinity_BhTSK.softmax(-1), drop).to(v_BhTSD.dtype)
    return affinity_BhTSK, torch.einsum("bhtsk,bhtsdk->bhtsd", weights_BhTSK, v_BhTSDK)


def _unfold(x_BhTSD: Tensor, size: tuple[int, int], window: torch.Size) -> Tensor:
    rows, columns = window
    x_BhTHWD = x_BhTSD.unflatten(3, size)
    border = (0, 0, columns // 2, columns // 2, rows // 2, rows // 2)
    x_BhTHWDij = pad(x_BhTHWD, border, value=_BORDER).unfold(3, rows, 1).unfold(4, columns, 1)
    return x_BhTHWDij.flatten(6, 7).flatten(3, 4)


def window_index(
    size: tuple[int, int], window: Sequence[int], device: torch.device | None = None
) -> Tensor:
    """[S, K]: the token in each cell, or S + the cell's own number beyond the border: unique in a row."""
    (height, width), (rows, columns) = size, window
    y_HW11, x_HW11 = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    y = y_HW11[..., None, None] + torch.arange(rows, device=device)[:, None] - rows // 2
    x = x_HW11[..., None, None] + torch.arange(columns, device=device) - columns // 2
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    cell_ij = torch.arange(rows * columns, device=device).view(rows, columns)
    index = torch.where(inside, y * width + x, height * width + cell_ij)
    return index.view(height * width, rows * columns)


def _spread(x_BhTSK: Tensor, index_SK: Tensor, columns: int) -> Tensor:
    """Zeros with the values at the indices, [B, h, T, S, columns]."""
    result = x_BhTSK.new_zeros((*x_BhTSK.shape[:-1], columns))
    return result.scatter_(-1, index_SK.expand_as(x_BhTSK), x_BhTSK)


def _take(x_BhTSM: Tensor, index_SK: Tensor) -> Tensor:
    return x_BhTSM.gather(-1, index_SK.expand(*x_BhTSM.shape[:-2], -1, -1))


class _TakeColumns(torch.autograd.Function):
    """gather along the last axis. Indices of a row are unique, so that the gradient needs no atomic sums."""

    @staticmethod
    def forward(ctx: Any, x_BhTSM: Tensor, index_SK: Tensor) -> Tensor:
        ctx.save_for_backward(index_SK)
        ctx.columns = x_BhTSM.shape[-1]
        return _take(x_BhTSM, index_SK)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BhTSK: Tensor) -> tuple[Tensor, None]:
        (index_SK,) = ctx.saved_tensors
        return _spread(grad_BhTSK, index_SK, ctx.columns), None


class _SumColumns(torch.autograd.Function):
    """Weights spread over all tokens, times the values; spread again for the gradient."""

    @staticmethod
    def forward(ctx: Any, x_BhTSK: Tensor, index_SK: Tensor, v_BhTMD: Tensor) -> Tensor:
        ctx.save_for_backward(x_BhTSK, index_SK, v_BhTMD)
        return _spread(x_BhTSK, index_SK, v_BhTMD.shape[-2]) @ v_BhTMD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BhTSD: Tensor) -> tuple[Tensor, None, Tensor]:
        x_BhTSK, index_SK, v_BhTMD = ctx.saved_tensors
        grad_BhTSD = grad_BhTSD.to(v_BhTMD.dtype)
        grad_v = _spread(x_BhTSK, index_SK, v_BhTMD.shape[-2]).mT @ grad_BhTSD
        return _take(grad_BhTSD @ v_BhTMD.mT, index_SK), None, grad_v
