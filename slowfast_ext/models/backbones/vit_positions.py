"""Positions that are added to the tokens of a vision transformer: learned tables, a fixed one, or none.

Shapes: N tokens (class token first, then time-major), C channels, t h w tokens along each axis, S tokens of a frame.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.backbones.vit_embed import resize_space, resize_time
from slowfast_ext.models.constants import constant


@dataclass(frozen=True)
class Resize:
    """How tables are brought to another grid, along space and along time."""

    space_mode: str
    time_mode: str

    def space(self, table_1thwC: Tensor, h: int, w: int) -> Tensor:
        """[1, t, *, *, C] -> [1, t, h, w, C]."""
        return resize_space(table_1thwC, h, w, self.space_mode)

    def time(self, table_1tC: Tensor, t: int) -> Tensor:
        """[1, *, C] -> [1, t, C]."""
        return resize_time(table_1tC, t, self.time_mode)


RESIZES = {"smooth": Resize("bicubic", "linear"), "nearest": Resize("nearest", "nearest")}


@dataclass(frozen=True)
class Positions:
    """Which learned tables there are for the grid `table`, and the positions of any other grid.

    `space_rows` are the rows of `pos_embed`, `time_rows` those of `temp_embed`; 0: there is no such table.
    """

    table: Grid
    dim: int
    resize: Resize

    @property
    def space_rows(self) -> int:
        """Rows of `pos_embed`."""
        return 0

    @property
    def time_rows(self) -> int:
        """Rows of `temp_embed`."""
        return 0

    def of(self, space: Tensor, time: Tensor, grid: Grid) -> Tensor:
        """Positions [1, N, C] of the tokens of `grid`, from the two tables (empty where there is none)."""
        raise NotImplementedError


class Separate(Positions):
    """A table for space, tiled over the frames, and one for time, repeated over a frame (Motionformer, Sec. 3).

    The class token has a row in space and none in time.
    """

    @property
    def space_rows(self) -> int:
        """The class token and the tokens of a frame."""
        return self.table.prefix + self.table.space

    @property
    def time_rows(self) -> int:
        """The frames."""
        return self.table.t

    def of(self, space: Tensor, time: Tensor, grid: Grid) -> Tensor:
        """Each table is resized on its own."""
        prefix, patches = space.tensor_split([grid.prefix], dim=1)
        frame_11hwC = patches.unflatten(1, (1, self.table.h, self.table.w))
        frame_11SC = self.resize.space(frame_11hwC, grid.h, grid.w).flatten(2, 3)
        tokens_1tSC = frame_11SC + self.resize.time(time, grid.t)[:, :, None]
        return torch.cat([prefix, tokens_1tSC.flatten(1, 2)], dim=1)


class Joint(Positions):
    """A row for each token, resized in space, then in time."""

    @property
    def space_rows(self) -> int:
        """All tokens."""
        return self.table.tokens

    def of(self, space: Tensor, time: Tensor, grid: Grid) -> Tensor:
        """The table, resized where the grid is not its own."""
        prefix, patches = space.tensor_split([grid.prefix], dim=1)
        table_1thwC = patches.unflatten(1, (self.table.t, self.table.h, self.table.w))
        frames_1tSC = self.resize.space(table_1thwC, grid.h, grid.w).flatten(2, 3)
        S, C = frames_1tSC.shape[2:]
        tokens_1tSC = self.resize.time(frames_1tSC.flatten(2), grid.t).unflatten(2, (S, C))
        return torch.cat([prefix, tokens_1tSC.flatten(1, 2)], dim=1)


class SineCosine(Positions):
    """A fixed table, computed anew for every grid (VideoMAE): no parameter."""

    def of(self, space: Tensor, time: Tensor, grid: Grid) -> Tensor:
        """The table of `grid`; a class token has zeros."""
        return sine_cosine(grid, self.dim, space.device, space.dtype)


class SineCosineTable(Joint):
    """A fixed table for one grid, resized for others (the finetuning program of VideoMAE V2): no parameter."""

    @property
    def space_rows(self) -> int:
        """None are learned."""
        return 0

    def of(self, space: Tensor, time: Tensor, grid: Grid) -> Tensor:
        """The table of `self.table`, brought to `grid`."""
        table = sine_cosine(self.table, self.dim, space.device, space.dtype)
        return super().of(table, time, grid)


class NoPositions(Positions):
    """Nothing is added: attention has positions of its own (ATTENTION.ROTARY), or there are none."""

    def of(self, space: Tensor, time: Tensor, grid: Grid) -> Tensor:
        """Zeros for any token, [1, 1, C]."""
        return space.new_zeros(1, 1, self.dim)


POSITIONS: dict[str, Callable[[Grid, int, Resize], Positions]] = {
    "separate": Separate,
    "joint": Joint,
    "sincos": SineCosine,
    "sincos_table": SineCosineTable,
    "none": NoPositions,
}


@constant
def sine_cosine(grid: Grid, dim: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sines at even channels, cosines at odd ones, of index / 10000^(2*(j//2)/C), [1, N, C], rounded to float32 first.

    The index runs over all tokens, frame after frame: the table of a larger grid is another one, not a finer one.
    """
    index = torch.arange(grid.patches, dtype=torch.float64, device="cpu")
    channel = torch.arange(dim, device="cpu")
    angles_NC = index[:, None] / 10000 ** (2 * (channel // 2).double() / dim)
    table_NC = torch.where(channel % 2 == 0, angles_NC.sin(), angles_NC.cos()).float()
    return pad(table_NC, (0, 0, grid.prefix, 0))[None].to(device, dtype)
