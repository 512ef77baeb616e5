"""cosFormer: linear ReLU attention that fades with distance (Qin et al., 2022, Eq. 10).

f(q_i) . f(k_j) is multiplied by cos(pi/2 * (i - j) / M), which splits into a sine and a cosine part; from
which number the tokens are counted does not matter.
Shapes: B batch, N queries, M keys, h heads, D head dim.
"""

import math

import torch
from torch import Tensor

from slowfast_ext.models.attention.base import KERNELS, Grid
from slowfast_ext.models.attention.linear import LinearOptions, Relu, linear_attention


@KERNELS.register("cosformer", LinearOptions)
class Cosformer(Relu):
    """ReLU features with the cosine weighting. Cost: 2*h*(M + N)*D^2 + 2*h*N*D multiply-adds.

    Queries and keys of the same tokens are counted along the row, prefix first. Where they are not the
    same tokens (windows, trajectories) only their position within a frame counts.
    """

    def attend(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        v_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """Weighted values [B, h, N, D] of mapped queries and keys."""
        angle_N, angle_M = _angles(q_grid, k_grid, q_BhND)
        q, k = _with_angles(q_BhND, angle_N), _with_angles(k_BhMD, angle_M)
        return linear_attention(q, k, v_BhMD, self.clamp)

    def weights(
        self,
        q_BhND: Tensor,
        k_BhMD: Tensor,
        q_grid: Grid,
        k_grid: Grid,
        valid_BM: Tensor | None = None,
    ) -> Tensor:
        """The implied weights [B, h, N, M], from the cosine itself."""
        angle_N, angle_M = _angles(q_grid, k_grid, q_BhND)
        scores_BhNM = q_BhND @ k_BhMD.mT * torch.cos(angle_N[:, None] - angle_M)
        return scores_BhNM / scores_BhNM.sum(-1, keepdim=True).clamp(min=self.clamp)


def _angles(q_grid: Grid, k_grid: Grid, like: Tensor) -> tuple[Tensor, Tensor]:
    """Angles of the queries [N] and keys [M], 0 to pi/2, in single precision at least."""
    if q_grid == k_grid:
        length = k_grid.tokens
        positions = [torch.arange(length, device=like.device)] * 2
    else:
        length = k_grid.frame_prefix + k_grid.space
        positions = [_position_in_frame(grid, like.device) for grid in (q_grid, k_grid)]
    dtype = torch.promote_types(like.dtype, torch.float32)
    angle_N, angle_M = (x.to(dtype) * (math.pi / 2 / length) for x in positions)
    return angle_N, angle_M


def _position_in_frame(grid: Grid, device: torch.device) -> Tensor:
    """Index of each token in its frame, prefix first, [tokens]."""
    prefix = torch.arange(grid.frame_prefix, device=device)
    prefix = prefix.repeat(grid.t) if grid.framewise else prefix
    space = torch.arange(grid.space, device=device) + grid.frame_prefix
    return torch.cat([prefix, space.repeat(grid.t)])


def _with_angles(x_BhND: Tensor, angle_N: Tensor) -> Tensor:
    """[x sin, x cos] of every token, [B, h, N, 2D]."""
    return torch.cat([x_BhND * angle_N.sin()[:, None], x_BhND * angle_N.cos()[:, None]], dim=-1)
