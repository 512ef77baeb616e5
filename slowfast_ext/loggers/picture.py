"""A confusion matrix as a picture."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure

_NAMED = 40
"""Largest number of classes whose names can be read in the picture."""


def confusion_picture(rows: Iterable[Sequence[object]]) -> Figure:
    """The rows of confusion.csv (names first): share of each class's videos that were taken for each class."""
    (_, *names), *lines = rows
    counts = np.array([line[1:] for line in lines], dtype=float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    inches = min(12.0, 4.0 + 0.25 * min(len(names), _NAMED))
    figure = Figure(figsize=(inches, inches), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
    axes.set(xlabel="predicted", ylabel="label")
    if len(names) <= _NAMED:
        labels = [str(name) for name in names]
        axes.set_xticks(range(len(names)), labels, rotation=90)
        axes.set_yticks(range(len(names)), labels)
    figure.colorbar(image, shrink=0.8, label="share of the label's videos")
    return figure
