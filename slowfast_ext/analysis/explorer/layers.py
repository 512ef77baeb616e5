"""What the page needs of a layer: weights of its queries as bytes, by the kind of attention.

Shapes: h heads, Q queries, N patches, T frames, S = H*W patches of a frame, E structures.
"""

from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from slowfast_ext.analysis.explorer.quantise import in_bytes
from slowfast_ext.analysis.maps import Seen, attention_map
from slowfast_ext.analysis.maps_emim import window_weights
from slowfast_ext.analysis.maps_struct import aggregation_patterns, structure_maps
from slowfast_ext.analysis.maps_trajectory import time_weights, trajectory_map
from slowfast_ext.models.attention import Attention, Grid
from slowfast_ext.models.attention.emim import Emim
from slowfast_ext.models.attention.structsa import Struct
from slowfast_ext.models.attention.trajectory import Trajectory


def layer_payload(seen: Seen, stride: int, head: int | None = None) -> dict[str, Any]:
    """Name, grid, heads and weights. Raises ConfigError for a layer that is no weighted sum of its values."""
    grid, layer = seen.grid, seen.layer
    kernel = getattr(layer, "kernel", None)
    heads = slice(None) if head is None else slice(head, head + 1)
    with torch.no_grad():
        weights = recorded(layer, seen, query_rows(grid, stride), heads)
    return {
        "name": seen.name,
        "attention": type(layer).__name__.lower(),
        "kernel": "" if kernel is None else type(kernel).__name__.removeprefix("Explicit").lower(),
        "t": grid.t,
        "h": grid.h,
        "w": grid.w,
        "stride": stride,
        "heads": list(range(layer.num_heads))[heads],
        **weights,
    }


def query_rows(grid: Grid, stride: int) -> Tensor:
    """Numbers of the patches that are queries: the middle of each stride x stride block."""
    rows, columns = (_middles(size, stride) for size in (grid.h, grid.w))
    frames = torch.arange(grid.t)[:, None, None] * grid.space
    return (frames + rows[:, None] * grid.w + columns).flatten()


def _middles(size: int, stride: int) -> Tensor:
    return (torch.arange(0, size, stride) + stride // 2).clamp(max=size - 1)


@singledispatch
def recorded(layer: Attention, seen: Seen, rows_Q: Tensor, heads: slice) -> dict[str, Any]:
    """A map: weights of each query over all patches; the class token is one more query where there is one."""
    grid = seen.grid
    rows = grid.prefix + rows_Q.to(seen.x_BNC.device)
    if grid.prefix:
        rows = torch.cat([rows, rows.new_zeros(1)])
    weights_hQN = attention_map(layer, seen.x_BNC, grid, rows)[0, heads, :, grid.prefix :]
    return {"kind": "map", "classToken": bool(grid.prefix), "weights": in_bytes(weights_hQN)}


@recorded.register
def _trajectory(layer: Trajectory, seen: Seen, rows_Q: Tensor, heads: slice) -> dict[str, Any]:
    rows_Q = rows_Q.to(seen.x_BNC.device)
    maps_hQTS = trajectory_map(layer, seen.x_BNC, seen.grid)[0, heads, rows_Q]
    times_hQT = time_weights(layer, seen.x_BNC, seen.grid)[0, heads, rows_Q]
    return {
        "kind": "trajectory",
        "weights": in_bytes(maps_hQTS.flatten(2)),
        "time": in_bytes(times_hQT),
    }


@recorded.register
def _emim(layer: Emim, seen: Seen, rows_Q: Tensor, heads: slice) -> dict[str, Any]:
    weights_hTSij = window_weights(layer, seen.x_BNC, seen.grid)[0, heads]
    window = list(weights_hTSij.shape[-2:])
    return {
        "kind": "emim",
        "window": window,
        "weights": in_bytes(weights_hTSij.flatten(3).flatten(1, 2)),
    }


@recorded.register
def _struct(layer: Struct, seen: Seen, rows_Q: Tensor, heads: slice) -> dict[str, Any]:
    maps_hQTHWE = structure_maps(layer, seen.x_BNC, seen.grid)[
        0, heads, rows_Q.to(seen.x_BNC.device)
    ]
    patterns_hEtij = aggregation_patterns(layer)[heads].mean(1)
    return {
        "kind": "struct",
        "structures": maps_hQTHWE.shape[-1],
        "keyGrid": list(maps_hQTHWE.shape[-4:-1]),
        "weights": in_bytes(maps_hQTHWE.flatten(2)),
        "patternSize": list(patterns_hEtij.shape[-3:]),
        "patterns": patterns_hEtij.float().cpu().numpy().ravel(),
    }
