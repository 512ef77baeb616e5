"""Structural self-attention as the paper writes it, on the whole correlation map: for checks, O(N^2 E) memory.

Shapes: B batch, h heads, N = T*H*W tokens, D head dim, E structures, T' H' W' grid after the stride.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv3d, conv_transpose3d, dropout

from slowfast_ext.models.attention.grid import Grid

Size3d = tuple[int, int, int]


def correlation_map_attention(
    q_BhND: Tensor,
    k_BhND: Tensor,
    v_BhND: Tensor,
    detectors_E1kkk: Tensor,
    aggregators_E1kkk: Tensor,
    stride: Size3d,
    grid: Grid,
    drop: float = 0.0,
) -> Tensor:
    """[B, h, N, D] by Eq. 2 and 5, with U^K `detectors` and U^V `aggregators` that all channels share.

    The detectors are convolved with the correlation map of each query; the weights of the structures, spread
    by the aggregators (the adjoint of a convolution), are the kernels kappa that collect the values. A share `drop` of the
    weights is dropped, drawn in the order of the fast form, which has the structures of a position side by side.
    """
    B, h, N, D = q_BhND.shape
    size = (grid.t, grid.h, grid.w)
    map_MTHW = (q_BhND @ k_BhND.mT * D**-0.5).view(B * h * N, 1, *size)
    found_METHW = conv3d(map_MTHW, detectors_E1kkk, stride=stride, padding=_same(detectors_E1kkk))
    weights_METHW = torch.softmax(found_METHW.flatten(1), dim=-1).view_as(found_METHW)
    if drop:
        weights_METHW = dropout(weights_METHW.movedim(1, -1).contiguous(), drop).movedim(-1, 1)
    kappa_MTHW = _spread(weights_METHW, aggregators_E1kkk, stride, size)
    return kappa_MTHW.view(B, h, N, N) @ v_BhND


def _spread(weights: Tensor, aggregators: Tensor, stride: Size3d, size: Size3d) -> Tensor:
    padding = _same(aggregators)
    smallest = [
        (n - 1) * s - 2 * p + k
        for n, s, p, k in zip(
            weights.shape[2:], stride, padding, aggregators.shape[2:], strict=True
        )
    ]
    missing = [wanted - have for wanted, have in zip(size, smallest, strict=True)]
    return conv_transpose3d(weights, aggregators, None, stride, padding, missing)


def _same(kernels: Tensor) -> tuple[int, ...]:
    return tuple(size // 2 for size in kernels.shape[2:])
