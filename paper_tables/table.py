"""Published and counted parameters and GFLOPs side by side, from paper_tables/published.csv and the exp folders.

A row names the experiment that is its model, and under `counted_as` the keys over it that give the form or the size
its printed numbers were counted in (trajectory attention with all projections, say). One multiply-add is one.
"""

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

import torch
from yacs.config import CfgNode

from slowfast_ext.analysis.cost import count_macs, meta_clip, views_of
from slowfast_ext.config import load_config
from slowfast_ext.models import build_model

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
    def pairs(self) -> list[str]:
        """`counted_as` as KEY VALUE pairs."""
        return [] if self.counted_as == NOTHING else self.counted_as.split()


@dataclass(frozen=True)
class Count:
    """Parameters in millions and GFLOPs of one view."""

    params_m: float
    gflops: float


@dataclass(frozen=True)
class Comparison:
    """A published row beside our counts: in the form its numbers were counted in, and as the model runs."""

    published: Published
    printed_form: Count
    as_run: Count
    views: int

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


class ShapeCounter:
    """Counts models from shapes alone; models that differ in nothing that has a shape are counted once."""

    def __init__(self) -> None:
        self._known: dict[str, Count] = {}

    def __call__(self, cfg: CfgNode) -> Count:
        """Parameters and multiply-adds of the model of `cfg`, one view."""
        key = json.dumps(shaping(cfg), sort_keys=True)
        if key not in self._known:
            self._known[key] = _count(cfg)
        return self._known[key]


def shaping(cfg: CfgNode) -> dict:
    """What the shapes of a model depend on."""
    parts = {name: cfg[name] for name in ("VIT", "XVIT", "UNIFORMER", "UNIFORMERV2", "ATTENTION")}
    data = [cfg.DATA[key] for key in ("NUM_FRAMES", "TRAIN_CROP_SIZE", "TEST_CROP_SIZE")]
    return parts | {"MODEL": [cfg.MODEL.BACKBONE, cfg.MODEL.NUM_CLASSES], "DATA": data}


def _count(cfg: CfgNode) -> Count:
    with torch.device("meta"):
        model = build_model(cfg).eval()
    params = sum(parameter.numel() for parameter in model.parameters())
    return Count(params / 1e6, count_macs(model, meta_clip(cfg))[""] / 1e9)


def compare(row: Published, exp_dir: Path, count: Callable[[CfgNode], Count]) -> Comparison:
    """Counts of the row's experiment. Raises ConfigError where it does not load or build."""
    file = exp_dir / row.exp / "config.yaml"
    printed = load_config([file], row.pairs)
    as_run = count(load_config([file]))
    return Comparison(row, count(printed) if row.pairs else as_run, as_run, views_of(printed))


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
Accuracy is as printed; the sets are not trained on here, so nothing is measured.

Notes explain differences of more than {params:.0%} in parameters or {gflops:.0%} in GFLOPs, and known misprints.
"""

COLUMNS = (
    *("model", "data", "input", "params printed, M", "counted", "off"),
    *("GFLOPs printed", "counted", "off", "as it runs: params, M", "GFLOPs a view"),
    *("accuracy printed", "measured", "source", "exp", "note"),
)


def report(comparisons: Iterable[Comparison]) -> str:
    """All comparisons as a Markdown page, one table a system."""
    parts = [HEADER.format(params=PARAMS_TOLERANCE, gflops=GFLOPS_TOLERANCE)]
    for system, group in groupby(comparisons, key=lambda comparison: comparison.published.system):
        parts.append(f"## {TITLES[system]}\n\n{_table(list(group))}")
    return "\n".join(parts)


def _table(comparisons: list[Comparison]) -> str:
    given = (comparison.published.reason for comparison in comparisons)
    reasons = list(dict.fromkeys(reason for reason in given if reason != NOTHING))
    lines = [_line(COLUMNS), _line("---" for _ in COLUMNS)]
    lines += [_line(_cells(comparison, reasons)) for comparison in comparisons]
    notes = [f"{number}. {reason}." for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, "", *notes, ""] if notes else [*lines, ""])


def _line(cells: Iterable[str]) -> str:
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
        *(_accuracy(row), NOTHING, row.source, f"`{row.exp}`"),
        str(reasons.index(row.reason) + 1) if row.reason in reasons else "",
    )


def _percent(off: float | None) -> str:
    return NOTHING if off is None else f"{off:+.1%}"


def _accuracy(row: Published) -> str:
    values = "/".join(value for value in (row.top1, row.top5) if value != NOTHING)
    kind = (
        ""
        if row.metric == "top" or not values
        else f" {row.metric.removeprefix('top ').replace('_', ' ')}"
    )
    return f"{values}{kind}" or NOTHING
