"""Windowed attention: a token meets the tokens of its own frame and of the frames next to it.

Shapes: B batch, N tokens, C channels, h heads, D head dim, T frames, P prefix and S other tokens of a
frame, F = P + S, n frames with windows of the same length, L frames of a window.
"""

from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention.base import ATTENTION, AttentionSpec, Grid, KernelAttention
from slowfast_ext.models.attention.frames import from_frames, split_frames, to_frames
from slowfast_ext.options import Options, option, section


@section("ATTENTION.WINDOW", "The window pattern")
@dataclass(frozen=True)
class WindowOptions(Options):
    """How far a window reaches."""

    reach: int = option(1, "frames seen on each side", unit="frames", low=0)


@ATTENTION.register("window", WindowOptions)
class Window(KernelAttention):
    """Tokens of frame t meet those of frames t - reach .. t + reach, as far as the clip goes.

    A window holds the prefix tokens of its frames, or those of the clip once; their queries: frames.py.
    Cost: 4*N*C^2 + 2*F*C*(keys of the windows of all frames) with the softmax kernel.
    """

    def __init__(self, spec: AttentionSpec, options: WindowOptions = WindowOptions()) -> None:
        frames = min(2 * options.reach + 1, spec.grid.t)
        super().__init__(spec, key_grid=_window_grid(spec.grid, frames))
        self.reach = options.reach
        if self.kernel.fixed_keys and len(windows(spec.grid.t, self.reach)) > 1:
            raise ConfigError(
                f"ATTENTION.KERNEL {spec.attention.kernel} takes one number of keys, and windows are shorter at both ends "
                "of a clip; take another kernel or another pattern than 'window' in ATTENTION.CYCLE"
            )

    def forward(self, x_BNC: Tensor, grid: Grid) -> Tensor:
        """[B, N, C] -> [B, N, C]."""
        q, k, v = self.apply_steps(*self.split_heads(x_BNC), grid)
        q_BThFD = to_frames(q, grid).unflatten(0, (-1, grid.t))
        q_grid = grid.frame(grid.frame_prefix)
        y: list[Tensor] = []
        for starts, length in windows(grid.t, self.reach):
            first = sum(part.shape[1] for part in y)
            rows = q_BThFD[:, first : first + len(starts)].flatten(0, 1)
            keys, values = (_gather(x, grid, starts, length) for x in (k, v))
            out = self.kernel.attend(rows, keys, values, q_grid, _window_grid(grid, length))
            y.append(out.unflatten(0, (-1, len(starts))))
        return self.merge_heads(from_frames(torch.cat(y, dim=1).flatten(0, 1), grid))


def windows(frames: int, reach: int) -> list[tuple[list[int], int]]:
    """First frames of the windows of all frames in order, grouped by the length of the window.

    Within a group they follow one another, or are all the same where a window holds the whole clip.
    """
    spans = [(max(0, t - reach), min(frames, t + reach + 1)) for t in range(frames)]
    groups = groupby(spans, key=lambda span: span[1] - span[0])
    return [([start for start, _ in group], length) for length, group in groups]


def _window_grid(grid: Grid, length: int) -> Grid:
    prefix = length * grid.frame_prefix if grid.framewise else grid.prefix
    return Grid(length, grid.h, grid.w, prefix, grid.framewise)


def _gather(x_BhND: Tensor, grid: Grid, starts: list[int], length: int) -> Tensor:
    """Tokens of the windows [B*n, h, prefix + L*S, D] that begin at the frames `starts`, by one copy."""
    prefix_BTPhD, rest_BTShD = split_frames(x_BhND, grid)
    rows = _windowed(rest_BTShD, starts, length).flatten(2, 3)
    if grid.framewise:
        prefix = _windowed(prefix_BTPhD, starts, length).flatten(2, 3)
        rows = torch.cat([prefix, rows], dim=2)
    elif grid.prefix:
        rows = torch.cat([prefix_BTPhD[:, : len(starts)], rows], dim=2)
    return rows.flatten(0, 1).transpose(1, 2)


def _windowed(x_BTShD: Tensor, starts: list[int], length: int) -> Tensor:
    """[B, n, L, S, h, D]: a view, as the windows of a group begin one frame after the other, or all where the clip does."""
    if starts[0] == starts[-1]:
        whole = x_BTShD[:, None, starts[0] : starts[0] + length]
        return whole.expand(-1, len(starts), -1, -1, -1, -1)
    frames = x_BTShD[:, starts[0] : starts[-1] + length]
    return frames.unfold(1, length, 1).movedim(-1, 2)
