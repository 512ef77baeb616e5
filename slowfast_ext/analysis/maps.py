"""What an attention layer did with a clip: its input, and its weights from every query to every key.

Patterns and kernels are linear in the values: given values that mark their tokens (one-hot), a layer puts out its
weights. So one function reads the map of any of them as it is computed, without a second formula.
Where values are shifted between tokens first (neighbourhood association, XViT's mixing), the weights are
those of the shifted values.

Shapes: B batch, N tokens (prefix first, then time-major), C channels, h heads, D head dim, R rows.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import Attention, Grid, Kernel
from slowfast_ext.models.attention.base import KernelAttention
from slowfast_ext.models.attention.frames import prefix_first

Layer = TypeVar("Layer", bound=Attention)


@dataclass(frozen=True)
class Seen:
    """An attention layer and what it was given: the normalised stream [1, N, C] and its grid."""

    name: str
    layer: Attention
    x_BNC: Tensor
    grid: Grid


def record(model: nn.Module, clip_BCTHW: Tensor) -> list[Seen]:
    """All attention layers of the model with their inputs for a clip, in the order of their use."""
    seen: list[Seen] = []
    clips = len(clip_BCTHW)

    def hook(name: str, layer: Attention) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _, args: seen.append(
            Seen(name, layer, *_tokens_of_clips(args[0], args[1], clips))
        )

    layers = {n: m for n, m in model.named_modules() if isinstance(m, Attention)}
    handles = [m.register_forward_pre_hook(hook(n, m)) for n, m in layers.items()]
    try:
        with torch.no_grad():
            model.eval()(clip_BCTHW)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _tokens_of_clips(x_RNC: Tensor, grid: Grid, clips: int) -> tuple[Tensor, Grid]:
    """Frames that a layer is given as rows (UniFormerV2), with a class token each, as the tokens of their clip."""
    frames = len(x_RNC) // clips
    if frames == 1:
        return x_RNC, grid
    whole = Grid(frames, grid.h, grid.w, prefix=frames, framewise=True)
    return prefix_first(x_RNC.unflatten(0, (clips, frames))), whole


def with_parts(layer: Layer, **parts: nn.Module | None) -> Layer:
    """A layer that shares all with `layer` but its `fixation` or `kernel`; `layer` stays as it is.

    Their steps on (q, k, v) go with them: `fixation=None` leaves fixation out, a kernel without feature map the map.
    """
    probe = copy(layer)
    probe._modules = {**layer._modules, **parts}
    kernel = parts.get("kernel")
    linear = not isinstance(kernel, Kernel) or kernel.has_feature_map
    probe.qkv_steps = [
        step
        for step in layer.qkv_steps
        if not ("fixation" in parts and step is layer.fixation)
        and (linear or getattr(step, "__func__", None) is not KernelAttention._feature_map)
    ]
    return probe


def collected(layer: Attention, x_BNC: Tensor, grid: Grid, values_BhND: Tensor) -> Tensor:
    """What a layer collects of `values` in position of its own, [B, h, N, D], before the output projection.

    Raises ConfigError for a layer that does not end in merge_heads, or adds something to its values.
    """
    q, k, v = layer.split_heads(x_BNC)
    merged: list[Tensor] = []

    def merge_heads(y_BhND: Tensor) -> Tensor:
        merged.append(y_BhND)
        return y_BhND

    probe = copy(layer)
    probe.keeps_order = True
    shared: Any = probe  # methods of this one object are replaced
    shared.split_heads = lambda _: (q, k, values_BhND)
    shared.apply_steps = lambda q, k, values, grid: (*layer.apply_steps(q, k, v, grid)[:2], values)
    shared.merge_heads = merge_heads
    probe.forward(x_BNC, grid)
    if not merged:
        raise ConfigError(f"{_kind(layer)} does not put out its values weighted by a map")
    return merged[0]


def attention_map(
    layer: Attention, x_BNC: Tensor, grid: Grid, rows: slice | Tensor = slice(None)
) -> Tensor:
    """Weights [B, h, R, N] of the queries `rows` over all tokens. Raises ConfigError as `collected` does.

    Reads as many keys at a time as a head is wide: N/D passes, no N x N tensor beyond the result.
    """
    N, width = x_BNC.shape[1], x_BNC.shape[2] // layer.num_heads
    blank = x_BNC.new_zeros(len(x_BNC), layer.num_heads, N, width)
    if collected(layer, x_BNC, grid, blank).any():
        raise ConfigError(f"{_kind(layer)} adds to its values: no map says all that it does")
    columns = []
    for first in range(0, N, width):
        marks = blank.clone()
        keys = torch.arange(first, min(first + width, N))
        marks[:, :, keys, keys - first] = 1
        columns.append(collected(layer, x_BNC, grid, marks)[:, :, rows, : len(keys)])
    return torch.cat(columns, dim=-1)


def _kind(layer: nn.Module) -> str:
    return f"the attention {type(layer).__name__}"
