"""Training curves of a run, thinned to what a screen can show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MOST_POINTS = 1200
_SKIPPED = (
    "_type",
    "epoch",
    "iter",
    "split",
    "eta",
    "bad_steps",
    "reading",
    "views",
    "videos",
    "evaluated",
)


def curves(stats: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """ "train/loss", "val/top1_acc", "step/lr" -> {x: epochs, y: values}; the last word on a step counts (resumed runs)."""
    kinds = {"train_epoch": "train", "val_epoch": "val", "train_iter": "step"}
    points: dict[str, dict[float, float]] = {}
    for line in stats:
        kind = kinds.get(str(line.get("_type")))
        at = _epoch(line) if kind else None
        if at is None:
            continue
        for name, value in line.items():
            if name not in _SKIPPED and isinstance(value, (int, float)):
                points.setdefault(f"{kind}/{name}", {})[at] = float(value)
    return {name: _thinned(own) for name, own in sorted(points.items())}


def _epoch(line: Mapping[str, Any]) -> float | None:
    """Epochs done at that line: "3/10" and "25/50" of an iteration are 2.5."""
    try:
        epoch = float(str(line["epoch"]).split("/")[0])
        if "iter" not in line:
            return epoch
        step, steps = map(float, str(line["iter"]).split("/"))
        return epoch - 1 + step / steps
    except (KeyError, ValueError, ZeroDivisionError):
        return None


def _thinned(points: Mapping[float, float]) -> dict[str, Any]:
    """Means of neighbouring points, where there are many."""
    x, y = (
        np.array(values, dtype=np.float64) for values in zip(*sorted(points.items()), strict=True)
    )
    parts = min(len(x), MOST_POINTS)
    split = [np.array_split(values, parts) for values in (x, y)]
    means = [np.array([part.mean() for part in values], dtype=np.float32) for values in split]
    return {"x": means[0], "y": means[1]}
