"""Attention layer -> pictures, by its class: `pictures(layer, seen, scene)`; a variant that subclasses Attention and
is a weighted sum of its values needs nothing of its own.

Shapes: N tokens, h heads, T frames, S tokens of a frame, H W grid, E structures.
"""

from collections.abc import Iterator
from functools import singledispatch
from math import log2
from typing import TypeGuard

import torch
from matplotlib.figure import Figure
from torch import Tensor

from slowfast_ext.analysis import drawing
from slowfast_ext.analysis.maps import Seen, attention_map
from slowfast_ext.analysis.maps_emim import displacement, window_weights
from slowfast_ext.analysis.maps_linear import Reader, concentrations
from slowfast_ext.analysis.maps_scene import Scene
from slowfast_ext.analysis.maps_struct import (
    aggregation_patterns,
    dynamic_kernels,
    mosaic,
    structure_maps,
)
from slowfast_ext.analysis.maps_trajectory import path, time_weights, trajectory_map
from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import Attention, Grid
from slowfast_ext.models.attention.base import KernelAttention
from slowfast_ext.models.attention.emim import Emim
from slowfast_ext.models.attention.softmax import Softmax
from slowfast_ext.models.attention.structsa import Struct
from slowfast_ext.models.attention.trajectory import Trajectory

Pictures = Iterator[tuple[str, Figure]]
SAMPLES = 4


@singledispatch
def pictures(layer: Attention, seen: Seen, scene: Scene) -> Pictures:
    """Kind and figure of each picture: what the query attends to; for other kernels than softmax also how they
    concentrate. Raises ConfigError that says why there is none."""
    grid, row = seen.grid, seen.grid.prefix + scene.row(seen.grid)

    def read(probe: Attention, rows: slice = slice(None)) -> Tensor:
        return attention_map(probe, seen.x_BNC, grid, rows)[0]

    weights_N = one_head(read(layer, slice(row, row + 1)), scene)[0, grid.prefix :]
    yield "map", query_map(weights_N, seen, scene)
    if _approximates(layer):
        name = title(seen, scene, "mean of the heads")
        yield "concentration", concentration(layer, grid, row, read, name)


@pictures.register
def _trajectory(layer: Trajectory, seen: Seen, scene: Scene) -> Pictures:
    grid, row = seen.grid, scene.row(seen.grid)
    map_TS = one_head(trajectory_map(layer, seen.x_BNC, grid)[0, :, row], scene)
    over_T = one_head(time_weights(layer, seen.x_BNC, grid)[0, :, row], scene)
    yield "trajectory", trajectory(map_TS, over_T, seen, scene)
    if _approximates(layer):

        def read(probe: Attention) -> Tensor:
            assert isinstance(probe, Trajectory)
            return trajectory_map(probe, seen.x_BNC, grid)[0].flatten(-2)

        patches, name = Grid(grid.t, grid.h, grid.w), title(seen, scene, "mean of the heads")
        yield "concentration", concentration(layer, patches, row, read, name)


@pictures.register
def _emim(layer: Emim, seen: Seen, scene: Scene) -> Pictures:
    weights_TSij = one_head(window_weights(layer, seen.x_BNC, seen.grid)[0], scene)
    field, pixels = displacement(weights_TSij, seen.grid), scene.pixels(seen.grid)
    figure, frames = drawing.filmstrip(len(field.argmax), title(seen, scene), lines=2)
    for t, axes in enumerate(frames):
        names = ("argmax", "soft-argmax")
        for ax, name, arrows in zip(axes, names, (field.argmax[t], field.soft[t]), strict=True):
            drawing.show_frame(ax, scene.frame(seen.grid, t), f"{name}, {t} to {t + 1}")
            drawing.show_arrows(ax, arrows, pixels)
    yield "displacement", figure


@pictures.register
def _struct(layer: Struct, seen: Seen, scene: Scene) -> Pictures:
    maps_hTHWE = structure_maps(layer, seen.x_BNC, seen.grid)[0][:, scene.row(seen.grid)]
    patterns_hEtij = aggregation_patterns(layer).mean(1)
    yield "structures", structures(maps_hTHWE, patterns_hEtij, seen, scene)
    yield "kernels", own_kernels(maps_hTHWE, patterns_hEtij, seen, scene)


def query_map(weights_N: Tensor, seen: Seen, scene: Scene) -> Figure:
    """Weights of the query over the patches of every frame."""
    maps_THW = weights_N.view(seen.grid.t, seen.grid.h, seen.grid.w)
    figure, frames = drawing.filmstrip(seen.grid.t, title(seen, scene))
    highest = maps_THW.max().item()
    for t, (ax,) in enumerate(frames):
        label = f"frame {t}: {maps_THW[t].sum():.0%}"
        drawing.show_heat(ax, scene.frame(seen.grid, t), maps_THW[t], highest, label)
        if t == scene.token(seen.grid)[0]:
            drawing.show_point(ax, *scene.query[1:])
    drawing.show_colours(figure, [ax for (ax,) in frames], highest)
    return figure


def trajectory(map_TS: Tensor, over_T: Tensor, seen: Seen, scene: Scene) -> Figure:
    """The trajectory of the query: its map in every frame, their centres up to it, the weight in time."""
    grid = seen.grid
    high, wide = scene.pixels(grid)
    centres = [((y + 0.5) * high, (x + 0.5) * wide) for y, x in path(map_TS, grid).tolist()]
    figure, frames = drawing.filmstrip(grid.t, title(seen, scene))
    for t, (ax,) in enumerate(frames):
        map_HW, label = map_TS[t].view(grid.h, grid.w), f"frame {t}: {over_T[t]:.0%}"
        drawing.show_heat(ax, scene.frame(grid, t), map_HW, map_TS.max().item(), label)
        drawing.show_path(ax, centres[: t + 1])
        if t == scene.token(grid)[0]:
            drawing.show_point(ax, *scene.query[1:])
    drawing.show_colours(figure, [ax for (ax,) in frames], map_TS.max().item())
    return figure


def concentration(
    layer: KernelAttention, grid: Grid, token: int, read: Reader, name: str
) -> Figure:
    """Implied matrices side by side, means of the heads, each on its own scale, with their entropy."""
    found = concentrations(layer, grid, token, read)
    figure, axes = drawing.panels(1, len(found), name)
    figure.set_size_inches(3 * len(found), 3.5)
    most = log2(found[0].matrix_hRM.shape[-1])
    for ax, item in zip(axes[0], found, strict=True):
        matrix_RM = item.matrix_hRM.mean(0)
        size = "signed" if item.entropy is None else f"{item.entropy:.2f} of {most:.2f} bits"
        nearly_all = matrix_RM.float().quantile(0.999).item() if matrix_RM.numel() < 2**24 else 0.0
        highest = nearly_all or matrix_RM.max().item()
        drawing.show_matrix(ax, matrix_RM, highest, f"{item.title}: {size}")
        drawing.show_colours(figure, [ax], highest)
    return figure


def structures(maps_hTHWE: Tensor, patterns_hEtij: Tensor, seen: Seen, scene: Scene) -> Figure:
    """One head in the query's frame: maps, patterns, and kernels at all positions, four of them large."""
    head, t = scene.head or 0, scene.token(seen.grid)[0]
    maps_HWE, patterns_Etij = maps_hTHWE[head, t], patterns_hEtij[head]
    count, middle = len(patterns_Etij), patterns_Etij.shape[1] // 2
    highest, limit = maps_HWE.max().item(), patterns_Etij.abs().max().item()
    figure, axes = drawing.panels(3, max(count, SAMPLES + 1), title(seen, scene, f"head {head}"))
    for e in range(count):
        heat = maps_HWE[..., e]
        frame, label = scene.frame(seen.grid, t), f"map {e}: {heat.sum():.0%}"
        drawing.show_heat(axes[0, e], frame, heat, highest, label)
        drawing.show_point(axes[0, e], *scene.query[1:])
        drawing.show_signed(axes[1, e], patterns_Etij[e, middle], limit, f"pattern {e}")
    drawing.show_colours(figure, axes[0], highest)
    drawing.show_signed_colours(figure, axes[1], limit)
    kernels_HWij = dynamic_kernels(maps_HWE[None], patterns_Etij[None])[0, :, :, middle]
    drawing.show_signed(
        axes[2, 0], mosaic(kernels_HWij), kernels_HWij.abs().max().item(), "kernels"
    )
    for ax, position in zip(axes[2, 1:], strongest(maps_HWE), strict=False):
        kernel = kernels_HWij[position]
        drawing.show_signed(
            ax, kernel, kernel.abs().max().item(), f"at {position[0]}, {position[1]}"
        )
    return figure


def strongest(maps_HWE: Tensor) -> list[tuple[int, int]]:
    """The SAMPLES positions (row, column) of most weight."""
    order = maps_HWE.sum(-1).flatten().argsort(descending=True)[:SAMPLES].tolist()
    return [divmod(position, maps_HWE.shape[1]) for position in order]


def own_kernels(maps_hTHWE: Tensor, patterns_hEtij: Tensor, seen: Seen, scene: Scene) -> Figure:
    """The frames around the query with its context, and the kernel of each head at the query itself."""
    grid = seen.grid
    t, row, column = scene.token(grid)
    stride = -(-grid.h // maps_hTHWE.shape[2])
    at_query_hE = maps_hTHWE[:, t, row // stride, column // stride]
    kernels_htij = dynamic_kernels(at_query_hE, patterns_hEtij)
    heads = [scene.head] if scene.head is not None else range(min(len(kernels_htij), SAMPLES))
    times, sides = kernels_htij.shape[1], kernels_htij.shape[2:]
    figure, axes = drawing.panels(1 + len(heads), times, title(seen, scene, "at the query"))
    high, wide = scene.pixels(grid)
    centre = ((row // stride * stride + 0.5) * high, (column // stride * stride + 0.5) * wide)
    for i, ax in enumerate(axes[0]):
        at = t + i - times // 2
        if 0 <= at < grid.t:
            drawing.show_frame(ax, scene.frame(grid, at), f"frame {at}")
            drawing.show_box(ax, centre, (sides[0] * high, sides[1] * wide))
    for line, head in zip(axes[1:], heads, strict=True):
        limit = kernels_htij[head].abs().max().item()
        for i, ax in enumerate(line):
            drawing.show_signed(ax, kernels_htij[head, i], limit, f"head {head}" if i == 0 else "")
        drawing.show_signed_colours(figure, line, limit)
    return figure


def one_head(values_h: Tensor, scene: Scene) -> Tensor:
    """The scene's head, or the mean of all."""
    return values_h.mean(0) if scene.head is None else values_h[scene.head]


def title(seen: Seen, scene: Scene, which: str = "") -> str:
    """What the picture shows, in words; `which` names the heads where it is not the scene's choice."""
    kind = ", ".join(filter(None, (type(seen.layer).__name__, _kernel_name(seen.layer))))
    heads = "mean of the heads" if scene.head is None else f"head {scene.head}"
    return "\n".join(filter(None, (f"{seen.name} ({kind}), {which or heads}", scene.note)))


def chosen(seen: list[Seen], names: list[str]) -> list[Seen]:
    """Layers called `names`; without names the last of each kind and grid. Raises ConfigError."""
    unknown = [name for name in names if name not in {item.name for item in seen}]
    if unknown:
        there = ", ".join(item.name for item in seen) or "none"
        raise ConfigError(f"no attention layer is called {', '.join(unknown)}; there is: {there}")
    if names:
        return [item for item in seen if item.name in names]
    kinds = {(_part(x.name), type(x.layer), _kernel_name(x.layer), x.grid): x for x in seen}
    return list(kinds.values())


def draw(seen: Seen, scene: Scene) -> list[tuple[str, Figure]]:
    """All pictures of one layer. Raises ConfigError that says why there is none."""
    if not seen.grid.patches:
        raise ConfigError(f"its {seen.grid.prefix} tokens are no positions of the clip")
    heads = seen.layer.num_heads
    if scene.head is not None and not 0 <= scene.head < heads:
        raise ConfigError(f"--head {scene.head} is not there; heads are 0 to {heads - 1}")
    with torch.no_grad():
        return list(pictures(seen.layer, seen, scene))


def _approximates(layer: Attention) -> TypeGuard[KernelAttention]:
    """Whether it has a kernel that is not exact softmax."""
    return isinstance(layer, KernelAttention) and not isinstance(layer.kernel, Softmax)


def _kernel_name(layer: Attention) -> str:
    kernel = getattr(layer, "kernel", None)
    return "" if kernel is None else type(kernel).__name__


def _part(name: str) -> str:
    """The last part of a layer's name: blocks may have one layer for time and one for space."""
    return name.rpartition(".")[2]
