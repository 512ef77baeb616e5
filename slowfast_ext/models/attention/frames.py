"""Tokens as rows of frames or of positions over time, prefix included, and back.

Every frame shows its prefix tokens: its own (`grid.framewise`), or copies of those of the clip, whose
updates are averaged over the frames (TimeSformer's rule).
Shapes: B batch, N tokens (prefix first, then time-major), h heads, D head dim, T frames, P prefix tokens of
a frame, S its other tokens, F = P + S.
"""

import torch
from torch import Tensor

from slowfast_ext.models.attention.grid import Grid


def split_frames(x_BhND: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Prefix [B, T, P, h, D] and other tokens [B, T, S, h, D] of every frame; views."""
    prefix, rest = x_BhND.transpose(1, 2).split([grid.prefix, grid.patches], dim=1)
    if grid.framewise:
        prefix = prefix.unflatten(1, (grid.t, grid.frame_prefix))
    else:
        prefix = prefix[:, None].expand(-1, grid.t, -1, -1, -1)
    return prefix, rest.unflatten(1, (grid.t, grid.space))


def to_frames(x_BhND: Tensor, grid: Grid) -> Tensor:
    """[B, h, N, D] -> one row a frame, [B*T, h, F, D]; a view where there is no prefix."""
    if grid.t == 1:
        return x_BhND
    if grid.prefix:
        x_BTFhD = torch.cat(split_frames(x_BhND, grid), dim=2)
    else:
        x_BTFhD = x_BhND.transpose(1, 2).unflatten(1, (grid.t, grid.space))
    return x_BTFhD.flatten(0, 1).transpose(1, 2)


def from_frames(y: Tensor, grid: Grid) -> Tensor:
    """Inverse of to_frames, [B*T, h, F, D] -> [B, h, N, D]."""
    if grid.t == 1:
        return y
    return _join(y.transpose(1, 2).unflatten(0, (-1, grid.t)), grid)


def to_lines(x_BhND: Tensor, grid: Grid) -> Tensor:
    """[B, h, N, D] -> one row a place of the frame, over time, [B*F, h, T, D]."""
    prefix, rest = (part.transpose(1, 2) for part in split_frames(x_BhND, grid))
    x_BFThD = torch.cat([prefix, rest], dim=1) if grid.prefix else rest
    return x_BFThD.flatten(0, 1).transpose(1, 2)


def from_lines(y: Tensor, grid: Grid) -> Tensor:
    """Inverse of to_lines, [B*F, h, T, D] -> [B, h, N, D]."""
    places = grid.frame_prefix + grid.space
    return _join(y.transpose(1, 2).unflatten(0, (-1, places)).transpose(1, 2), grid)


def _join(y_BTFhD: Tensor, grid: Grid) -> Tensor:
    if not grid.prefix:
        return y_BTFhD.flatten(1, 2).transpose(1, 2)
    prefix, rest = y_BTFhD.split([grid.frame_prefix, grid.space], dim=2)
    prefix = prefix.flatten(1, 2) if grid.framewise else prefix.mean(1)
    return torch.cat([prefix, rest.flatten(1, 2)], dim=1).transpose(1, 2)


def prefix_first(x_BTFC: Tensor, prefix: int = 1) -> Tensor:
    """Rows of frames, each with `prefix` tokens of its own first, as a framewise sequence: [B, N, C]."""
    own, rest = x_BTFC.split([prefix, x_BTFC.shape[2] - prefix], dim=2)
    return torch.cat([own.flatten(1, 2), rest.flatten(1, 2)], dim=1)


def by_frame(x_BNC: Tensor, grid: Grid) -> Tensor:
    """Inverse of prefix_first, [B, T, F, C]."""
    own, rest = x_BNC.split([grid.prefix, grid.patches], dim=1)
    own = own.unflatten(1, (grid.t, grid.frame_prefix))
    return torch.cat([own, rest.unflatten(1, (grid.t, grid.space))], dim=2)
