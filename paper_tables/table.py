"""Published and counted parameters and GFLOPs side by side, from paper_tables/published.csv and the exp folders.

A row names the experiment that is its model, and under `counted_as` the keys over it that give the form or the size
its printed numbers were counted in (trajectory attention with all projections, say). One multiply-add is one.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from itertools import groupby
from pathlib import Path

from yacs.config import CfgNode

from paper_tables.counts import Count, ShapeCounter, Training
from slowfast_ext.analysis.cost import views_of
from slowfast_ext.config import load_config

PARAMS_TOLERANCE = 0.01
GFLOPS_TOLERANCE = 0.02
NOTHING = "-"


@dataclass(frozen=True)
class Published:
    """A row of the table: what a paper prints for a model, and which experiment here is that model."""

    system: str
    variant: str
    dataset: str
    pretrain: str
    frames: str
    size: str
    crops: str
    clips: str
    params_m: str
    gflops: str
    per: str
    top1: str
    top5: str
    metric: str
    source: str
    exp: str
    counted_as: str
    reason: str

    @property
    def memory(self) -> str:
        """Gigabytes, which stand in brackets behind the metric."""
        aside = self.metric.partition(" (")[2].removesuffix(")")
        return aside.removesuffix(" GB") if aside.endswith(" GB") else NOTHING

    @property
    def pairs(self) -> list[str]:
        """`counted_as` as KEY VALUE pairs."""
        return [] if self.counted_as == NOTHING else self.counted_as.split()


@dataclass(frozen=True)
class Comparison:
    """A published row beside our counts: in the form its numbers were counted in, and as the model runs."""

    published: Published
    printed_form: Count
    as_run: Count
    views: int
    training: Training | None = None
    with_scores: Training | None = None

    @property
    def gflops(self) -> float:
        """Of the printed form, for one view or for all of them, as the row's `per` says."""
        return self.printed_form.gflops * (self.views if self.published.per == "total" else 1)

    @property
    def params_off(self) -> float | None:
        """Relative difference of the parameters; None where none are printed."""
        return _difference(self.published.params_m, self.printed_form.params_m)

    @property
    def gflops_off(self) -> float | None:
        """Relative difference of the GFLOPs; None where none are printed."""
        return _difference(self.published.gflops, self.gflops)

    @property
    def unexplained(self) -> bool:
        """Whether the reason says that there is none."""
        return "unexplained" in self.published.reason

    @property
    def within(self) -> bool:
        """Whether what is printed is met within tolerance."""
        params, gflops = abs(self.params_off or 0), abs(self.gflops_off or 0)
        return params <= PARAMS_TOLERANCE and gflops <= GFLOPS_TOLERANCE


def _difference(printed: str, counted: float) -> float | None:
    return None if printed == NOTHING else counted / float(printed) - 1


def read_published(path: Path) -> list[Published]:
    """All rows of a published.csv; lines that begin with # are comments."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    names = [field.name for field in fields(Published)]
    return [Published(**{name: row[name] for name in names}) for row in rows]


@cache
def config_of(file: Path, pairs: tuple[str, ...] = ()) -> CfgNode:
    """The configuration of an experiment, read once. Raises ConfigError."""
    return load_config([file], pairs)


def compare(row: Published, exp_dir: Path, count: ShapeCounter) -> Comparison:
    """Counts of the row's experiment. Raises ConfigError where it does not load or build."""
    file = exp_dir / row.exp / "config.yaml"
    printed, as_run = config_of(file, tuple(row.pairs)), config_of(file)
    training = count.training(as_run)
    scores = None if row.memory == NOTHING else count.training(as_run, scores=True)
    return Comparison(row, count(printed), count(as_run), views_of(printed), training, scores)


TITLES = {
    "uniformer": "UniFormer",
    "uniformerv2": "UniFormerV2",
    "videomae": "VideoMAE",
    "timesformer": "TimeSformer",
    "vivit": "ViViT",
    "internvideo2": "InternVideo2",
    "vjepa2": "V-JEPA 2",
    "emim": "EMIM",
    "structvit": "StructViT",
    "structsa": "StructSA in DeiT-S",
    "motionformer": "Motionformer",
    "xvit": "XViT",
    "linear": "Linear video transformers",
}

HEADER = """\
# Published and counted numbers

Made by `python -m paper_tables` from `paper_tables/published.csv` and the folders in `exp/`; do not edit.

Parameters and multiply-adds (one is one, the papers' "GFLOPs") are counted from shapes; layer norms, softmax and other
elementwise work, 0.04 to 0.3 %, are not. "Counted" is in the form or size that the printed number was counted in: for
trajectory attention the reference form with all projections (`ATTENTION.REFERENCE True ATTENTION.TRAJECTORY.VALUES
projected`), for the linear video transformers 17x17 tokens a frame (272 px). "As it runs" is one view of the
experiment as it is configured, where the fast forms count. GFLOPs are of one view, or of clips x crops where given.
Accuracy is as printed; the sets are not trained on here, so nothing is measured. "A clip keeps" is what the forward pass of a training
clip saves for the backward pass, all in bf16, with torch's fused attention; in brackets with the scores that a program without it keeps,
for rows with printed memory. That is the peak of a training step whose batch and precision are not stated, so that only ratios can be
compared.

{counts}.

Notes explain differences of more than {params:.0%} in parameters or {gflops:.0%} in GFLOPs, and known misprints.
"""

COLUMNS = (
    *("model", "data", "input", "params printed, M", "counted", "off"),
    *("GFLOPs printed", "counted", "off", "as it runs: params, M", "GFLOPs a view"),
    *("memory printed, GB", "a clip keeps, GB", "accuracy printed", "source", "exp", "note"),
)


def tally(comparisons: Iterable[Comparison]) -> str:
    """How many rows are met, off for a reason, off without one, and printed without a cost."""
    comparisons = list(comparisons)
    costed = [c for c in comparisons if (c.params_off, c.gflops_off) != (None, None)]
    within = sum(c.within for c in costed)
    unexplained = sum(not c.within and c.unexplained for c in costed)
    return (
        f"{len(comparisons)} published rows: {within} within tolerance, {len(costed) - within - unexplained} off for a reason that "
        f"is given, {unexplained} off and unexplained, {len(comparisons) - len(costed)} without a printed cost"
    )


def report(comparisons: Iterable[Comparison]) -> str:
    """All comparisons as a Markdown page, one table a system."""
    comparisons = list(comparisons)
    counts = tally(comparisons)
    parts = [HEADER.format(params=PARAMS_TOLERANCE, gflops=GFLOPS_TOLERANCE, counts=counts)]
    for system, group in groupby(comparisons, key=lambda comparison: comparison.published.system):
        parts.append(f"## {TITLES[system]}\n\n{_table(list(group))}")
    return "\n".join(parts)


def _table(comparisons: list[Comparison]) -> str:
    given = (comparison.published.reason for comparison in comparisons)
    reasons = list(dict.fromkeys(reason for reason in given if reason != NOTHING))
    lines = [line(COLUMNS), line("---" for _ in COLUMNS)]
    lines += [line(_cells(comparison, reasons)) for comparison in comparisons]
    notes = [f"{number}. {reason}." for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, "", *notes, ""] if notes else [*lines, ""])


def line(cells: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _cells(comparison: Comparison, reasons: list[str]) -> tuple[str, ...]:
    row, as_run = comparison.published, comparison.as_run
    views = f" ({row.clips}x{row.crops})" if row.per == "total" else ""
    printed = row.gflops != NOTHING
    return (
        *(row.variant, row.dataset, f"{row.frames}x{row.size}"),
        row.params_m,
        f"{comparison.printed_form.params_m:.2f}",
        _percent(comparison.params_off),
        row.gflops + views,
        f"{comparison.gflops:.2f}" if printed else NOTHING,
        _percent(comparison.gflops_off),
        *(f"{as_run.params_m:.2f}", f"{as_run.gflops:.2f}"),
        *(row.memory, _kept(comparison)),
        *(accuracy(row), row.source, f"`{row.exp}`"),
        str(reasons.index(row.reason) + 1) if row.reason in reasons else "",
    )


def _kept(comparison: Comparison) -> str:
    """What a clip keeps, and with scores."""
    scores = comparison.with_scores
    aside = f" ({gigabytes(scores)})" if scores else ""
    return f"{gigabytes(comparison.training)}{aside}"


def gigabytes(training: Training | None) -> str:
    """A cell with what a clip keeps, in GB."""
    return NOTHING if training is None else f"{training.saved_mib * 2**20 / 1e9:.2f}"


def _percent(off: float | None) -> str:
    return NOTHING if off is None else f"{off:+.1%}"


def accuracy(row: Published) -> str:
    """Printed accuracies, and of what they are where it is not top-1 and top-5."""
    values = "/".join(value for value in (row.top1, row.top5) if value != NOTHING)
    metric = row.metric if row.memory == NOTHING else row.metric.partition(" (")[0]
    kind = "" if metric == "top" or not values else f" {metric.replace('_', ' ')}"
    return f"{values}{kind}" or NOTHING
