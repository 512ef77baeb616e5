"""Several runs of several experiments in one table: mean and standard deviation over the runs of the same name."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from slowfast_ext.analysis.cost import summary
from slowfast_ext.config import load_config
from slowfast_ext.engine.log import CONFIG_FILE
from slowfast_ext.engine.results import FOLDER
from slowfast_ext.errors import DataError


@dataclass(frozen=True)
class Experiment:
    """`values` of the metric, one a run; cost of the model in millions of parameters and GFLOPs a view."""

    name: str
    values: tuple[float, ...]
    params_m: float
    gflops: float

    @property
    def mean(self) -> float:
        """Over the runs."""
        return fmean(self.values)

    @property
    def std(self) -> float:
        """Sample standard deviation over the runs; 0 for a single one."""
        return stdev(self.values) if len(self.values) > 1 else 0.0


def read_experiments(roots: Iterable[Path], metric: str) -> list[Experiment]:
    """Tested runs below `roots` (OUTPUT_ROOT/<name>), those of the same name together, best mean first.

    Raises DataError where there is none, or where one has no such metric.
    """
    runs: dict[str, list[Path]] = {}
    for root in roots:
        for results in sorted(root.glob(f"*/{FOLDER}/metrics.json")):
            runs.setdefault(results.parents[1].name, []).append(results)
    if not runs:
        raise DataError(
            f"no {FOLDER}/metrics.json one folder below {', '.join(map(str, roots))}; "
            "give the folders that hold the runs' folders, and test the runs (test.sh)"
        )
    found = [_experiment(name, results, metric) for name, results in runs.items()]
    return sorted(found, key=lambda experiment: -experiment.mean)


def _experiment(name: str, results: Sequence[Path], metric: str) -> Experiment:
    cost = summary(load_config([results[0].parents[1] / CONFIG_FILE], []))
    values = tuple(_value(file, metric) for file in results)
    return Experiment(name, values, cost["params_m"], cost["gflops_view"])


def _value(file: Path, metric: str) -> float:
    metrics = json.loads(file.read_text(encoding="utf-8"))
    if metric not in metrics:
        raise DataError(f"{file}: no metric {metric}; there is {', '.join(metrics)}")
    return metrics[metric]


def as_rows(experiments: Iterable[Experiment]) -> list[tuple[str, ...]]:
    """Name, runs, mean, standard deviation, every value, cost: a row of text each."""
    return [
        (
            e.name,
            str(len(e.values)),
            f"{e.mean:.1f}",
            f"{e.std:.1f}" if len(e.values) > 1 else "-",
            " ".join(f"{value:.1f}" for value in e.values),
            f"{e.params_m:.3f}",
            f"{e.gflops:.3f}",
        )
        for e in experiments
    ]


COLUMNS = ("experiment", "runs", "mean", "std", "each", "M parameters", "GFLOPs a view")
