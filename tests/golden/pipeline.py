"""Data and training: test crops, frames of clips, learning rates, mixed targets."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from golden.cases import Case
from golden.compare import Differences
from slowfast_ext.data.sampling import SamplingOptions, test_indices, train_indices
from slowfast_ext.data.transforms.device import PixelOptions, to_model_input
from slowfast_ext.data.transforms.resize_crop import Resize, cover_size, crop_box, test_crops
from slowfast_ext.engine.optim import SolverOptions, learning_rate
from slowfast_ext.tasks.single_label import SingleLabel

Row = Mapping[str, Any]


def check_testpipe(case: Case) -> Differences:
    """Bytes -> crops, to a level of grey: theirs resize normalised floats, ours bytes."""
    found, facts = Differences(), case.facts
    frames = next(case.tensors[key] for key in case.keys if key.startswith("frames"))
    clip = frames.permute(0, 3, 1, 2)
    pixels = PixelOptions(
        tuple(facts.get("mean", (0.45,) * 3)), tuple(facts.get("std", (0.225,) * 3))
    )
    crops = {
        int(key[len("crop") :]): case.tensors[key]
        for key in sorted(case.keys)
        if key.startswith("crop")
    }
    size = tuple(next(iter(crops.values())).shape[-2:])
    antialias = case.says("antialias") and not case.says("no antialias")
    resize = Resize("bicubic" if case.says("bicubic") else "bilinear", antialias)
    cover = facts.get("scale", min(size) if size[0] == size[1] else size)
    ours = test_crops(
        clip, size, list(crops), resize, cover if isinstance(cover, int) else tuple(cover)
    )
    levels_C111 = 255 * torch.tensor(pixels.std).view(-1, 1, 1, 1)
    for crop, (position, expected) in zip(ours, crops.items(), strict=True):
        levels = (to_model_input(crop[None], pixels)[0] - expected).abs() * levels_C111
        found.compare(
            f"crop {position}, levels of grey", levels, torch.zeros_like(levels), 1.01, 1.0
        )
        found.compare(f"crop {position}, mean level", levels.mean(), torch.tensor(0.0), 0.35, 1.0)
    return found


def check_tables(case: Case) -> Differences:
    """A json of lists of numbers: dense, sparse, sparse_train_segments, crop, lr, mixup_target."""
    found = Differences()
    for name, rows in case.facts.items():
        if isinstance(rows, str) or name in ("about", "seed"):
            continue
        if name not in TABLES:
            raise AssertionError(f"{case}: no table '{name}' is known, only {', '.join(TABLES)}")
        for row in rows if isinstance(rows, list) else [rows]:
            TABLES[name](found, row)
    return found


def _dense(found: Differences, row: Row) -> None:
    options = SamplingOptions(
        row["n"], "dense", row["rate"], "linspace", 0.0, row.get("use_offset", True)
    )
    clips = [
        test_indices(row["L"], row.get("fps", 30.0), options, c, row["clips"]).tolist()
        for c in range(row["clips"])
    ]
    found.equal(f"dense clips of {row['L']} frames", clips, row["indices"])


def _sparse(found: Differences, row: Row) -> None:
    options = SamplingOptions(row["n"], "segment")
    frames = (
        test_indices(row["L"], 12.0, options, row.get("view", 0), row.get("views", 1)) + 1
    ).tolist()
    found.equal(f"segment clip of {row['L']} frames", frames, row["frames"])


def _train_segments(found: Differences, row: Row) -> None:
    """Every frame of its segment is drawn, bounds included."""
    options = SamplingOptions(row["n"], "segment")
    longest = max(high - low + 1 for low, high in row["segments"])
    clips = np.array(
        [
            train_indices(row["L"], 12.0, options, np.random.default_rng(seed)) + 1
            for seed in range(20 * longest)
        ]
    )
    found.equal(
        f"segments of {row['L']} frames",
        np.stack([clips.min(0), clips.max(0)], 1).tolist(),
        row["segments"],
    )


def _crop(found: Differences, row: Row) -> None:
    size, scale = (
        tuple(row[key]) if isinstance(row[key], list) else row[key] for key in ("size", "scale")
    )
    height, width = cover_size(row["H"], row["W"], scale)
    found.equal(f"size of {row['H']}x{row['W']}", [height, width], row["resized"])
    box = crop_box(height, width, size, row["idx"])
    found.equal(
        f"crop {row['idx']} of {row['H']}x{row['W']}",
        (box.top, box.left),
        (row["top"], row["left"]),
    )


def _rates(found: Differences, row: Row) -> None:
    names = {"end_lr": "cosine_end_lr", "policy": "lr_policy"}
    solver = SolverOptions(**{names.get(k, k): x for k, x in row.items() if k != "points"})
    for epoch, rate in row["points"]:
        ours = torch.tensor(learning_rate(solver, epoch), dtype=torch.float64)
        theirs = torch.tensor(rate, dtype=torch.float64)
        found.compare(f"rate at {epoch}", ours, theirs, 1e-9)


def _mixup(found: Differences, row: Row) -> None:
    task = SingleLabel([row["num_classes"]], label_smoothing=row["smoothing"])
    (smooth,) = task.targets(torch.tensor(row["labels"])[:, None])
    mixed = torch.lerp(smooth.flip(0), smooth, row["lam"])
    found.compare("mixed targets", mixed, torch.tensor(row["target"]), 1e-6)
    if "soft_ce_mean" in row:
        loss = task.loss(torch.tensor(row["logits"]), [mixed])
        found.compare("soft cross-entropy", loss, torch.tensor(row["soft_ce_mean"]), 1e-6)


TABLES: dict[str, Callable[[Differences, Row], None]] = {
    "dense": _dense,
    "sparse": _sparse,
    "sparse_train_segments": _train_segments,
    "crop": _crop,
    "lr": _rates,
    "mixup_target": _mixup,
}
