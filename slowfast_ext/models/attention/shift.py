"""Zero-filled shifts of channel groups to neighbouring tokens (TSM; XViT, Sec. 3.3): no parameter, no product.

Shapes: B batch, N tokens (prefix P first, then time-major), C channels, T frames, M tokens of a frame,
H W rows and columns.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from slowfast_ext.models.attention.grid import Grid


def shifted(x: Tensor, dim: int, step: int) -> Tensor:
    """x[i + step] along `dim`, zeros where there is no such i."""
    step = max(-x.shape[dim], min(step, x.shape[dim]))
    return pad(x, [0, 0] * (x.ndim - 1 - dim % x.ndim) + [-step, step])


def over_heads(shift: Callable[[Tensor], Tensor], x_BhND: Tensor) -> Tensor:
    """`shift` of [B, N, C], with the channels of all heads side by side, on [B, h, N, D]."""
    x_BNC = shift(x_BhND.transpose(1, 2).flatten(2))
    return x_BNC.unflatten(2, (x_BhND.shape[1], -1)).transpose(1, 2)


def temporal_shift(x_BNC: Tensor, grid: Grid, fold: int, group: int = 0) -> Tensor:
    """The first `fold` channels come from frame t + 1, the next `fold` from t - 1, the rest stay.

    Frames exchange only within groups of `group` successive frames (0: the whole clip). Prefix tokens take
    part where every frame has its own.
    """

    def shift(x_BMC: Tensor) -> Tensor:
        return _shift_frames(x_BMC.unflatten(1, (grid.t, -1)), fold, group).flatten(1, 2)

    if not grid.prefix:
        return shift(x_BNC)
    prefix, patches = x_BNC.split([grid.prefix, grid.patches], dim=1)
    return torch.cat([shift(prefix) if grid.framewise else prefix, shift(patches)], dim=1)


def _shift_frames(x_BTMC: Tensor, fold: int, group: int) -> Tensor:
    frames = x_BTMC.shape[1]
    if group and frames % group == 0:  # a group is a clip of its own
        x_BgTMC = x_BTMC.unflatten(1, (-1, group))
        return _exchange(x_BgTMC, fold, frames_dim=2).flatten(1, 2)
    parts = [_exchange(part, fold, frames_dim=1) for part in x_BTMC.split(group or frames, dim=1)]
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def _exchange(x: Tensor, fold: int, frames_dim: int) -> Tensor:
    ahead, behind, own = x.split([fold, fold, x.shape[-1] - 2 * fold], dim=-1)
    return torch.cat([shifted(ahead, frames_dim, 1), shifted(behind, frames_dim, -1), own], dim=-1)


def spatial_shift(x_BNC: Tensor, grid: Grid, fold: int, start: int) -> Tensor:
    """Four groups of `fold` channels from channel `start` on come from the right, left, lower and upper
    neighbour; prefix tokens and other channels stay."""
    prefix, patches = x_BNC.split([grid.prefix, grid.patches], dim=1)
    x_BTHWC = patches.unflatten(1, (grid.t, grid.h, grid.w))
    sizes = [start, fold, fold, fold, fold, x_BNC.shape[-1] - start - 4 * fold]
    before, right, left, below, above, after = x_BTHWC.split(sizes, dim=-1)
    moved = [
        shifted(right, 3, 1),
        shifted(left, 3, -1),
        shifted(below, 2, 1),
        shifted(above, 2, -1),
    ]
    patches = torch.cat([before, *moved, after], dim=-1).flatten(1, 3)
    return torch.cat([prefix, patches], dim=1) if grid.prefix else patches
