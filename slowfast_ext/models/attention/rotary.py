"""Rotary positions in three parts, for frame, row and column (V-JEPA 2).

Every part turns pairs of neighbouring channels (2i, 2i+1) by position * frequency. As published the frequencies are
tiled over the channels (f0..fn, f0..fn) instead of repeated for both channels of a pair: the authors know, and the
weights need it.
Shapes: B batch, N tokens (prefix P first, then time-major), h heads, D head dim, E channels of a part.
"""

import torch
from torch import Tensor, nn

from slowfast_ext.models.attention.grid import Grid

BASE = 10000.0


class Rotary(nn.Module):
    """A third of a head's channels each for frame, row and column; what is left over, and the prefix, is not turned.

    Cost: no multiply-add.
    """

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.part = 2 * (head_dim // 3 // 2)

    def forward(
        self, q_BhND: Tensor, k_BhND: Tensor, v_BhND: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Turned queries and keys, values as they are, [B, h, N, D] each."""
        angles_NE = self.angles(grid, q_BhND)
        cos, sin = angles_NE.cos(), angles_NE.sin()
        q, k = (turn(x, cos, sin, grid.prefix) for x in (q_BhND, k_BhND))
        return q, k, v_BhND

    def angles(self, grid: Grid, like: Tensor) -> Tensor:
        """Angle of every patch token and turned channel, [N, 3*E], in single precision at least."""
        device, dtype = like.device, torch.promote_types(like.dtype, torch.float32)
        sides = (torch.arange(side, device=device) for side in (grid.t, grid.h, grid.w))
        positions_3N = torch.stack(torch.meshgrid(*sides, indexing="ij")).flatten(1)
        half = self.part // 2
        frequencies = BASE ** -(torch.arange(half, device=device, dtype=dtype) / half)
        return (positions_3N[..., None] * frequencies.repeat(2)).transpose(0, 1).flatten(1)


def turn(x_BhND: Tensor, cos_NE: Tensor, sin_NE: Tensor, prefix: int) -> Tensor:
    """x * cos + (x turned by 90 degrees) * sin on the first channels of the tokens behind the prefix."""
    tokens = x_BhND[:, :, prefix:]
    turned, rest = tokens.tensor_split([cos_NE.shape[-1]], dim=-1)
    even, odd = turned.unflatten(-1, (-1, 2)).unbind(-1)
    quarter = torch.stack((-odd, even), dim=-1).flatten(-2)
    turned = (turned * cos_NE + quarter * sin_NE).to(x_BhND.dtype)
    return torch.cat([x_BhND[:, :, :prefix], torch.cat([turned, rest], dim=-1)], dim=2)
