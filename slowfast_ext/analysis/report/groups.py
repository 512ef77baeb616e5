"""Runs side by side: seeds of one experiment together, with the standard errors of what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import fmean, stdev
from typing import Any

import numpy as np

from slowfast_ext.analysis.report.runs import Run

_OF_A_RUN = ("RNG_SEED", "OUTPUT_DIR", "NUM_GPUS", "NUM_SHARDS", "SHARD_ID", "LOG_PERIOD", "DEVICE",
             "INIT_METHOD", "DIST_BACKEND", "TEST.CHECKPOINT_FILE_PATH", "TRAIN.AUTO_RESUME")  # fmt: skip
_SECTIONS_OF_A_RUN = ("DATA_LOADER.", "TENSORBOARD.", "DATA.PATH_")


@dataclass(frozen=True)
class Experiment:
    """Runs (by number) whose settings differ in nothing but the seed and where they ran."""

    name: str
    runs: tuple[int, ...]


def experiments(runs: Sequence[Run]) -> list[Experiment]:
    """The runs by experiment, in the order given; a run without a configuration goes by its folder's name."""
    members: dict[Any, list[int]] = {}
    for number, run in enumerate(runs):
        members.setdefault(_signature(run), []).append(number)
    names = [_name(runs, numbers) for numbers in members.values()]
    return [
        Experiment(name if names.count(name) == 1 else _long_name(runs, numbers), tuple(numbers))
        for name, numbers in zip(names, members.values(), strict=True)
    ]


def of_a_run(key: str) -> bool:
    """Whether a setting says where a run ran and with which seed, not what was trained."""
    return key in _OF_A_RUN or key.startswith(_SECTIONS_OF_A_RUN)


def _signature(run: Run) -> Any:
    kept = {key: str(value) for key, value in run.settings.items() if not of_a_run(key)}
    return tuple(sorted(kept.items())) or run.folder.name


def _name(runs: Sequence[Run], numbers: Sequence[int]) -> str:
    names = list(dict.fromkeys(runs[number].folder.resolve().name for number in numbers))
    return names[0] if len(names) == 1 else " / ".join(names[:3])


def _long_name(runs: Sequence[Run], numbers: Sequence[int]) -> str:
    folder = runs[numbers[0]].folder.resolve()
    return f"{folder.parent.name}/{folder.name}"


def run_names(runs: Sequence[Run], groups: Sequence[Experiment]) -> list[str]:
    """A short name for each run: its experiment's, with the seed where there are several."""
    names = [""] * len(runs)
    for group in groups:
        seeds = [runs[number].settings.get("RNG_SEED") for number in group.runs]
        for place, (number, seed) in enumerate(zip(group.runs, seeds, strict=True)):
            told = f"seed {seed}" if len(set(seeds)) == len(seeds) else f"run {place + 1}"
            names[number] = group.name if len(group.runs) == 1 else f"{group.name}, {told}"
    return names


def comparison(runs: Sequence[Run], groups: Sequence[Experiment]) -> dict[str, Any]:
    """Every metric of every experiment, and the difference from the best one, paired by video."""
    metrics = list(dict.fromkeys(name for run in runs for name in run.metrics))
    rows = [
        {
            "name": group.name,
            "runs": group.runs,
            "metrics": {
                name: spread([runs[n].metrics.get(name) for n in group.runs]) for name in metrics
            },
            "overVideos": _error_over_videos(runs, group),
        }
        for group in groups
    ]
    return {"metrics": metrics, "rows": rows, "differences": _differences(runs, groups)}


def spread(values: Sequence[float | None]) -> Mapping[str, Any] | None:
    """Mean over the runs, its standard error (from two runs on), every value."""
    known = [float(value) for value in values if value is not None and isfinite(value)]
    if not known:
        return None
    error = stdev(known) / sqrt(len(known)) if len(known) > 1 else None
    return {"mean": fmean(known), "error": error, "values": known}


def _right_of(runs: Sequence[Run], group: Experiment) -> np.ndarray | None:
    """Share of the runs that have each video right: all heads, as the accuracy of an action counts."""
    tested = [runs[number] for number in group.runs if runs[number].heads]
    if not tested or len({tuple(v.path for v in run.videos) for run in tested}) > 1:
        return None
    return np.mean([np.all([h.right for h in run.heads], axis=0) for run in tested], axis=0)


def _error_over_videos(runs: Sequence[Run], group: Experiment) -> float | None:
    """Standard error, in percent, of an accuracy because only so many videos were tested."""
    right_M = _right_of(runs, group)
    if right_M is None or len(right_M) < 2:
        return None
    return float(100 * right_M.std(ddof=1) / sqrt(len(right_M)))


def _differences(runs: Sequence[Run], groups: Sequence[Experiment]) -> list[Mapping[str, Any]]:
    """Each experiment against the best, over the same videos: difference in percent and its standard error."""
    known = [(group, right) for group in groups if (right := _right_of(runs, group)) is not None]
    if len(known) < 2:
        return []
    best, best_M = max(known, key=lambda item: item[1].mean())
    paths = [video.path for video in runs[best.runs[0]].videos]
    found: list[Mapping[str, Any]] = []
    for group, right_M in known:
        same = [video.path for video in runs[group.runs[0]].videos] == paths
        if group is best or not same or len(paths) < 2:
            continue
        delta_M = right_M - best_M
        error = 100 * delta_M.std(ddof=1) / sqrt(len(delta_M))
        found.append(
            {
                "from": best.name,
                "name": group.name,
                "difference": float(100 * delta_M.mean()),
                "error": float(error),
            }
        )
    return found
