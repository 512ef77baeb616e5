"""Where trajectory attention finds a query point in the other frames (Motionformer, Fig. 4).

Shapes: B batch, N patch tokens, h heads, D head dim, T frames, S = H*W tokens of a frame.
"""

import torch
from torch import Tensor

from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.trajectory import Trajectory, own_frame, scores


def trajectory_map(layer: Trajectory, x_BNC: Tensor, grid: Grid) -> Tensor:
    """Weights [B, h, N, T, S] of the trajectory tokens over the positions of each frame (Eq. 4).

    Read from values that mark their position, as many positions at a time as a head is wide.
    """
    q, k, v = _patches(layer, x_BNC, grid)
    width, columns = q.shape[-1], []
    for first in range(0, grid.space, width):
        marks_SD = torch.eye(grid.space, device=q.device, dtype=q.dtype)[:, first : first + width]
        count = marks_SD.shape[1]
        marks_SD = torch.nn.functional.pad(marks_SD, (0, width - count))
        y_BhNTD = layer.trajectories(q, k, marks_SD.repeat(grid.t, 1).expand_as(v), grid)
        columns.append(y_BhNTD[..., :count])
    return torch.cat(columns, dim=-1)


def time_weights(layer: Trajectory, x_BNC: Tensor, grid: Grid) -> Tensor:
    """Weights [B, h, N, T] over the tokens of each trajectory (Eq. 5, 6)."""
    y_BhNTD = layer.trajectories(*_patches(layer, x_BNC, grid), grid)
    if layer.averages:
        return torch.full_like(y_BhNTD[..., 0], 1 / grid.t)
    q_BNC = layer.proj_q(own_frame(y_BhNTD, grid))
    return scores(q_BNC, y_BhNTD, layer.proj_k.weight).softmax(-1).transpose(1, 2)


def path(map_TS: Tensor, grid: Grid) -> Tensor:
    """Centre of mass (row, column) of the weights in each frame, in tokens, [T, 2]."""
    mass_TS = map_TS.clamp(min=0)
    mass_TS = mass_TS / mass_TS.sum(-1, keepdim=True).clamp(min=1e-12)
    position_S = torch.arange(grid.space, device=map_TS.device)
    rows, columns = position_S // grid.w, position_S % grid.w
    return torch.stack([mass_TS @ rows.to(mass_TS), mass_TS @ columns.to(mass_TS)], dim=-1)


def _patches(layer: Trajectory, x_BNC: Tensor, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    stepped = layer.apply_steps(*layer.split_heads(x_BNC), grid)
    q, k, v = (x_BhND[:, :, grid.prefix :] for x_BhND in stepped)
    return q, k, v
