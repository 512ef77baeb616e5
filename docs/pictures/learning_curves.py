"""The table and the picture of docs/motion.md: validation accuracy of experiments over epochs, mean and standard error of seeds.

    python docs/pictures/learning_curves.py output/easy output/hard output/frames --out docs/pictures/motion_curves.png

Each folder holds seed*/EXPERIMENT/stats.jsonl, as run.sh leaves them with OUTPUT_ROOT.
"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt

from slowfast_ext.engine.log import read_stats

PREFIXES = ("motion_uniformer_small_", "motion_vit_frames_")


def curves(folder: Path) -> dict[str, list[list[float]]]:
    """Experiment -> top-1 [%] after each validated epoch, of each seed that has finished as many epochs as the longest."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for run in sorted(folder.glob("seed*/*")):
        top1 = [row["top1_acc"] for row in read_stats(run, "val_epoch")]
        name = run.name
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        found[name].append(top1)
    longest = max((len(one) for of_name in found.values() for one in of_name), default=0)
    if not longest:
        raise SystemExit(f"{folder}: no seed*/EXPERIMENT/stats.jsonl with a validation")
    whole = {name: [one for one in some if len(one) == longest] for name, some in found.items()}
    return {name: some for name, some in whole.items() if some}


def error(values: list[float]) -> float:
    """Standard error of the mean; a single value has none, drawn as 0."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def table(found: dict[str, list[list[float]]]) -> str:
    """Rows of the last epoch, best first."""
    rows = ["| attention | top-1, mean | standard error | seeds |", "| --- | --- | --- | --- |"]
    last = {name: [one[-1] for one in some] for name, some in found.items()}
    for name in sorted(last, key=lambda n: -statistics.mean(last[n])):
        each = " ".join(f"{value:.1f}" for value in last[name])
        spread = f"{error(last[name]):.1f}" if len(last[name]) > 1 else "-"
        rows.append(f"| {name} | {statistics.mean(last[name]):.1f} | {spread} | {each} |")
    return "\n".join(rows)


def draw(axes: plt.Axes, title: str, found: dict[str, list[list[float]]]) -> None:
    """One line an experiment, with a band of one standard error."""
    for name, some in sorted(found.items()):
        mean = [statistics.mean(at) for at in zip(*some, strict=True)]
        spread = [error(list(at)) for at in zip(*some, strict=True)]
        epochs = range(1, len(mean) + 1)
        (line,) = axes.plot(epochs, mean, marker="o", label=f"{name} ({len(some)})")
        axes.fill_between(epochs, [m - s for m, s in zip(mean, spread, strict=True)], [m + s for m, s in zip(mean, spread, strict=True)], color=line.get_color(), alpha=0.15)  # fmt: skip
    axes.set(title=title, xlabel="epoch", ylabel="top-1 [%]", xticks=list(epochs))
    axes.axhline(100 / 12, color="grey", linestyle=":", label="chance")
    axes.legend(title="attention (seeds)", fontsize=8)


def main() -> None:
    """Print a table for each folder and draw all folders side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    figure, panels = plt.subplots(1, len(args.folders), figsize=(5 * len(args.folders), 4), squeeze=False)  # fmt: skip
    for axes, folder in zip(panels[0], args.folders, strict=True):
        found = curves(folder)
        print(f"{folder.name}\n\n{table(found)}\n")
        draw(axes, folder.name, found)
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
