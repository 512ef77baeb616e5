"""What came out of a run, in words."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

from slowfast_ext.engine.checkpoint import CheckpointStore
from slowfast_ext.engine.results import FOLDER


def summary(output_dir: Path) -> Iterator[str]:
    """Accuracy with its standard error, the weakest classes with what they are taken for, and where all is."""
    results = output_dir / FOLDER
    metrics = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
    classes = _rows(results / "per_class.csv")
    videos = sum(int(row["videos"]) for row in classes)
    share = metrics["top1_acc"] / 100
    error = 100 * math.sqrt(share * (1 - share) / max(videos, 1))
    largest = 100 * max(int(row["videos"]) for row in classes) / max(videos, 1)
    yield (
        f"result: {100 * share:.1f} % of {videos} validation videos right (standard error {error:.1f}); "
        f"mean of the classes {metrics['mean_class_acc']:.1f} %; always saying the largest class: {largest:.1f} %"
    )
    confused = _taken_for(results / "confusion.csv")
    tested = [row for row in classes if int(row["videos"])]
    for row in sorted(tested, key=lambda row: int(row["right"]) / int(row["videos"]))[:3]:
        if row["right"] != row["videos"]:
            other, times = confused[row["name"]]
            yield f"  {row['name']}: {row['right']} of {row['videos']} right, {times} taken for {other}"
    yield f"  per class, confusion, every video: {results}"


def trained_weights(output_dir: Path) -> Path:
    """The checkpoint that was tested: the last."""
    return CheckpointStore(output_dir, 0).find("")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _taken_for(path: Path) -> dict[str, tuple[str, int]]:
    """For each class the other class that it is most often taken for, and how often."""
    with path.open(encoding="utf-8", newline="") as file:
        (_, *names), *rows = csv.reader(file)
    found = {}
    for name, *counts in rows:
        others = [
            (int(count), other) for other, count in zip(names, counts, strict=True) if other != name
        ]
        times, other = max(others)
        found[name] = other, times
    return found
