"""Panels of frames, maps, arrows and kernels, drawn without a display.

Shapes: H W pixels of a frame, h w tokens of a map.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

PANEL_INCHES = 1.6
MOST_COLUMNS = 8
FONT = 8
DPI = 110


def panels(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    """A figure and its axes [rows, columns], without ticks."""
    width = max(columns * PANEL_INCHES, 4)
    figure = Figure(
        figsize=(width, rows * (PANEL_INCHES + 0.2) + 0.5), dpi=DPI, layout="constrained"
    )
    figure.suptitle(title, fontsize=FONT + 1, wrap=True)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    return figure, axes


def filmstrip(count: int, title: str, lines: int = 1) -> tuple[Figure, list[list[Axes]]]:
    """A figure with `lines` panels for each of `count` frames, MOST_COLUMNS frames beside each other."""
    columns = min(count, MOST_COLUMNS)
    bands = -(-count // columns)
    figure, axes = panels(bands * lines, columns, title)
    of_frame = [
        axes[i // columns * lines : (i // columns + 1) * lines, i % columns] for i in range(count)
    ]
    return figure, [list(column) for column in of_frame]


def show_frame(ax: Axes, frame_HWC: np.ndarray, label: str = "") -> None:
    """A frame; its pixels are the coordinates of what follows on it."""
    height, width = frame_HWC.shape[:2]
    ax.imshow(frame_HWC, extent=(0, width, height, 0))
    ax.set_title(label, fontsize=FONT, pad=2)


def show_heat(
    ax: Axes, frame_HWC: np.ndarray, map_hw: Tensor, highest: float, label: str = ""
) -> None:
    """A map over the darkened, grey frame; `highest` is the value of the brightest colour."""
    grey_HW = frame_HWC.mean(-1, keepdims=True).repeat(3, -1) / 255 * 0.6
    show_frame(ax, grey_HW, label)
    height, width = frame_HWC.shape[:2]
    values = to_numpy(map_hw)
    opacity = 0.75 * np.clip(values / max(highest, 1e-12), 0, 1) ** 0.5
    extent = (0, width, height, 0)
    ax.imshow(values, "inferno", vmin=0, vmax=highest, alpha=opacity, extent=extent)


def show_colours(figure: Figure, axes: Iterable[Axes], highest: float) -> None:
    """The bar that tells which weight a colour of `show_heat` and `show_matrix` stands for."""
    _bar(figure, axes, Normalize(0, highest), "inferno", "attention weight")


def show_signed_colours(figure: Figure, axes: Iterable[Axes], limit: float) -> None:
    """The bar of `show_signed`."""
    _bar(figure, axes, Normalize(-limit, limit), "RdBu_r", "kernel weight")


def _bar(figure: Figure, axes: Iterable[Axes], scale: Normalize, colours: str, label: str) -> None:
    shown = ScalarMappable(scale, colours)
    bar = figure.colorbar(shown, ax=list(axes), shrink=0.8, fraction=0.05, pad=0.01)
    bar.ax.tick_params(labelsize=FONT - 1)
    bar.ax.yaxis.get_offset_text().set_fontsize(FONT - 1)
    bar.set_label(label, fontsize=FONT)


def show_point(ax: Axes, row: float, column: float) -> None:
    """The query."""
    ax.plot(column, row, "o", color="red", markeredgecolor="white", markersize=5)


def show_path(ax: Axes, points: Iterable[tuple[float, float]]) -> None:
    """A line through points (row, column), its last step an arrow."""
    rows, columns = zip(*points, strict=True)
    ax.plot(columns, rows, color="yellow", linewidth=1.5)
    if len(rows) > 1:
        style = {"arrowstyle": "->", "color": "yellow"}
        end, before = (columns[-1], rows[-1]), (columns[-2], rows[-2])
        ax.annotate("", xy=end, xytext=before, arrowprops=style)


def show_arrows(ax: Axes, field_hw2: Tensor, pixels: tuple[float, float]) -> None:
    """Arrows (rows, columns) in tokens from the centre of each token of `pixels` (height, width)."""
    high, wide = pixels
    field = to_numpy(field_hw2)
    y, x = np.mgrid[: field.shape[0], : field.shape[1]] + 0.5
    rows, columns = field[..., 0] * high, field[..., 1] * wide
    as_data: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1}
    ax.quiver(x * wide, y * high, columns, rows, color="yellow", width=0.008, **as_data)


def show_box(ax: Axes, centre: tuple[float, float], size: tuple[float, float]) -> None:
    """A green box around `centre` (row, column), `size` (height, width) in pixels."""
    left, top = centre[1] - size[1] / 2, centre[0] - size[0] / 2
    x, y = [left, left + size[1]], [top, top + size[0]]
    ax.plot(
        [x[0], x[1], x[1], x[0], x[0]], [y[0], y[0], y[1], y[1], y[0]], color="lime", linewidth=1
    )


def show_signed(ax: Axes, values: Tensor, limit: float, label: str = "") -> None:
    """A kernel or a mosaic of them: blue negative, red positive, white zero."""
    ax.imshow(to_numpy(values), "RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_title(label, fontsize=FONT, pad=2)


def show_matrix(ax: Axes, matrix: Tensor, highest: float, label: str) -> None:
    """Queries down, keys across; brighter is larger."""
    ax.imshow(to_numpy(matrix), "inferno", vmin=0, vmax=highest, aspect="auto")
    ax.set_title(label, fontsize=FONT, pad=2)


def to_numpy(values: Tensor) -> np.ndarray:
    """Values on the host."""
    return values.detach().float().cpu().numpy()
