"""Clip -> tokens of a vision transformer: tubelets, class token, position tables of any grid.

Shapes: B batch, N tokens (class token first, then time-major), C channels, T frames, H W pixels,
t h w tokens along each axis, S = h*w.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import Grid


class Tubelets(nn.Conv3d):
    """Linear embedding of disjoint tubelets: [B, 3, T, H, W] -> [B, C, t, h, w].

    Cost: 3 * t*h*w * prod(patch) * C multiply-adds.
    """

    def __init__(self, patch: tuple[int, int, int], dim: int) -> None:
        """`patch` is the size of a tubelet in frames and pixels."""
        super().__init__(3, dim, kernel_size=patch, stride=patch)
        nn.init.trunc_normal_(self.weight, std=(3 * patch[0] * patch[1] * patch[2]) ** -0.5)
        nn.init.zeros_(self.bias)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Raises ConfigError for a clip that the tubelets do not divide."""
        size = tuple(clip_BCTHW.shape[2:])
        if any(pixels % patch for pixels, patch in zip(size, self.kernel_size, strict=True)):
            raise ConfigError(
                f"a clip of {_times(size)} (frames x height x width) cannot be cut into "
                f"{_times(self.kernel_size)} tubelets; change VIT.PATCH_SIZE, DATA.NUM_FRAMES "
                "or the crop size"
            )
        return super().forward(clip_BCTHW)


class Embedding(nn.Module):
    """Tubelets, plus positions, after an optional class token.

    Separate positions are a table for space, tiled over the frames, and one for time, repeated over a
    frame (Motionformer, Sec. 3); a joint table has a row per token. The class token has a row in the
    spatial or joint table and none in time. Tables are resized when a clip's grid is not theirs.
    """

    def __init__(
        self, patch: tuple[int, int, int], dim: int, table: Grid, joint: bool, dropout: float
    ) -> None:
        """`table` is the grid of the position tables; its prefix, 0 or 1, says whether cls is there."""
        super().__init__()
        self.table = table
        self.tubelets = Tubelets(patch, dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim)) if table.prefix else None
        rows = table.patches if joint else table.space
        self.pos_embed = nn.Parameter(torch.empty(1, table.prefix + rows, dim))
        self.time_embed = None if joint else nn.Parameter(torch.zeros(1, table.t, dim))
        self.dropout = nn.Dropout(dropout)
        for parameter in (self.cls_token, self.pos_embed):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, clip_BCTHW: Tensor) -> tuple[Tensor, Grid]:
        """Tokens [B, N, C] and their grid."""
        x_BCthw = self.tubelets(clip_BCTHW)
        grid = self.token_grid(*x_BCthw.shape[2:])
        x_BNC = x_BCthw.flatten(2).transpose(1, 2)
        if self.cls_token is not None:
            cls_BPC = self.cls_token.expand(len(x_BNC), grid.prefix, -1)
            x_BNC = torch.cat([cls_BPC, x_BNC], dim=1)
        return self.dropout(x_BNC + self.positions(grid)), grid

    def token_grid(self, t: int, h: int, w: int) -> Grid:
        """The grid of a clip of t x h x w tubelets."""
        return Grid(t, h, w, self.table.prefix)

    def positions(self, grid: Grid) -> Tensor:
        """Position embedding [1, N, C] of all tokens of `grid`."""
        prefix, frames = self.pos_embed.tensor_split([grid.prefix], dim=1)
        time_rows = 1 if self.time_embed is not None else self.table.t
        frames = frames.unflatten(1, (time_rows, self.table.h, self.table.w))
        frames = resize_space(frames, grid.h, grid.w).flatten(2, 3)
        if self.time_embed is None:
            patches = resize_time(frames.flatten(2), grid.t).unflatten(2, frames.shape[2:])
        else:
            patches = frames + resize_time(self.time_embed, grid.t)[:, :, None]
        return torch.cat([prefix, patches.flatten(1, 2)], dim=1)


def resize_space(table_1thwC: Tensor, h: int, w: int) -> Tensor:
    """Position tables [1, t, h, w, C] on another spatial grid: bicubic, as ViT does; same grid: no change."""
    if table_1thwC.shape[2:4] == (h, w):
        return table_1thwC
    table_tChw = table_1thwC[0].permute(0, 3, 1, 2).float()
    resized = interpolate(table_tChw, size=(h, w), mode="bicubic", align_corners=False)
    return resized.permute(0, 2, 3, 1)[None].to(table_1thwC.dtype)


def resize_time(table_1tC: Tensor, t: int) -> Tensor:
    """A temporal table [1, t, C] with another number of rows: linear; same number: no change."""
    if table_1tC.shape[1] == t:
        return table_1tC
    resized = interpolate(table_1tC.mT.float(), size=t, mode="linear", align_corners=False)
    return resized.mT.to(table_1tC.dtype)


def _times(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
