"""exp/README.md: from a paper's row to the folder that is its experiment, what that starts from and what it costs."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

from paper_tables.counts import Count, ShapeCounter, Training
from paper_tables.lra import section
from paper_tables.table import NOTHING, Published, accuracy, config_of, line
from slowfast_ext.analysis.memory import Parameters, plan_memory
from slowfast_ext.config import options_of
from slowfast_ext.engine.optim import SolverOptions
from slowfast_ext.released import released

GPUS = 8
GPU_GB = 80
"""Memory of the papers' largest GPUs: what an experiment has to do with, or a note says why it cannot."""
OURS = ("motion_", "own_", "real_")
COUNTED = ("ATTENTION.", "DATA.TRAIN_CROP_SIZE", "DATA.TEST_CROP_SIZE")
"""Keys of the forms and sizes that printed costs were counted in; other keys of a row make its experiment of the folder's."""

HEADER = """\
# Experiments, paper by paper

Made by `python -m paper_tables` from `paper_tables/published.csv`, `paper_tables/experiments.csv` and the folders here; do not edit.

    bash exp/NAME/run.sh DATA.PATH_TO_DATA_DIR LISTS          # trains; test.sh tests
    bash exp/NAME/test.sh DATA.PATH_TO_DATA_DIR LISTS TEST.CHECKPOINT_FILE_PATH RELEASED

Each starts from the weights named here: a name of `slowfast-ext weights` is fetched (or says where to fetch it), `exp:NAME` is the best
checkpoint of another experiment, to be trained first; nothing: from scratch. `TRAIN.FROM_SCRATCH True` does without.

- batch: clips of an optimizer step, videos x repeats where a video is augmented several times.
- GPUs x passes: what gives that batch: the published number of GPUs where it is known, or {gpus} with `TRAIN.ACCUMULATE`; rates follow the
  batch. `NUM_SHARDS` is the number of nodes of {gpus}.
- memory: GB a GPU in bf16, counted from shapes: what a pass keeps for the backward pass (all of the model in bf16; fused attention keeps
  no scores), the largest block that `MODEL.CHECKPOINT_BLOCKS` recomputes, and in fp32 weights, average, gradients and moments; nothing
  of what `TRAIN.FREEZE` names but its weights. Without workspace, fragmentation and the copies that autocast makes. For {gpus} GPUs a
  node, {gb} GB each or a note. `-`: not counted yet (`python -m paper_tables --memory`, some minutes); `--dry-run` plans it for any setting.
- KEY VALUE below a folder: what the command line adds for this row, as in `bash exp/NAME/test.sh ... KEY VALUE`.
- parameters and GFLOPs (one view) are those of the model as it runs; beside the printed ones they stand in
  [docs/paper_tables.md](../docs/paper_tables.md).
- measured: nothing yet; the sets were not trained on here.

{papers} rows of papers and releases, {exps} experiments.
"""
COLUMNS = (
    *("row", "data", "folder", "starts from", "batch", "GPUs x passes", "parameters, M", "GFLOPs", "memory, GB"),
    *("published", "measured", "released weights", "note"),
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """What the configuration of an experiment does not say: see the head of experiments.csv."""

    exp: str
    nodes: int = 1
    gpus: str = NOTHING
    weights: str = NOTHING
    note: str = NOTHING


def read_experiments(path: Path) -> dict[str, Experiment]:
    """Name -> facts; lines that begin with # are comments."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(text for text in file if not text.startswith("#"))
        return {row["exp"]: Experiment(**row | {"nodes": int(row["nodes"])}) for row in rows}


def index(
    rows: Sequence[Published],
    facts: dict[str, Experiment],
    exp_dir: Path,
    count: ShapeCounter,
) -> str:
    """The page. Raises ConfigError where an experiment does not load."""
    names = [file.parent.name for file in sorted(exp_dir.glob("*/config.yaml"))]
    papers = [name for name in names if not name.startswith(OURS)]
    configs = {name: config_of(exp_dir / name / "config.yaml") for name in papers}
    cells = {
        name: _cells(facts.get(name, Experiment(name)), cfg, count(cfg), count.training(cfg))
        for name, cfg in configs.items()
    }
    parts = [HEADER.format(gpus=GPUS, gb=GPU_GB, papers=len(rows), exps=len(papers))]
    for source in dict.fromkeys(paper_of(row) for row in rows):
        parts.append(f"## {source}\n\n{_table(_rows(rows, source, cells))}")
    parts.append(section())
    printed = {row.exp for row in rows}
    rest = [("", "", "", cells[name]) for name in papers if name not in printed]
    parts.append(f"## Without a printed figure\n\n{_table(rest)}")
    own = [name for name in names if name.startswith(OURS)]
    parts.append(
        "## Of our own\n\nMade for machines without a GPU: [docs/motion.md](../docs/motion.md), "
        "[docs/own_videos.md](../docs/own_videos.md).\n\n"
        + "\n".join(
            f"- [{name}]({name}/config.yaml): {_first_words(exp_dir / name)}" for name in own
        )
        + "\n"
    )
    return "\n".join(parts)


def paper_of(row: Published) -> str:
    """The paper or page and its table, or the page alone."""
    return row.source.partition(";")[0].strip()


def _rows(
    rows: Iterable[Published], source: str, cells: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    for row in rows:
        if paper_of(row) == source:
            size = f", {row.frames}x{row.size}" if row.frames != NOTHING else ""
            folder, *others = cells[row.exp]
            own = (f"{folder}{_overrides(row)}", *others)
            yield f"{row.variant}{size}", row.dataset, accuracy(row), own


def _overrides(row: Published) -> str:
    """KEY VALUE pairs that make the row of its folder."""
    pairs = zip(row.pairs[::2], row.pairs[1::2], strict=True)
    own = " ".join(f"{key} {value}" for key, value in pairs if not key.startswith(COUNTED))
    return f"<br>`{own}`" if own else ""


def _table(rows: Iterable[tuple[str, str, str, tuple[str, ...]]]) -> str:
    lines = [line(COLUMNS), line("---" for _ in COLUMNS)]
    for variant, dataset, published, own in rows:
        *costs, weights, note = own
        lines.append(line((variant, dataset, *costs, published, NOTHING, weights, note)))
    return "\n".join([*lines, ""])


def _cells(
    facts: Experiment, cfg: CfgNode, count: Count, training: Training | None
) -> tuple[str, ...]:
    videos = cfg.TRAIN.BATCH_SIZE * cfg.TRAIN.ACCUMULATE * facts.nodes
    repeats = cfg.AUG.NUM_SAMPLE
    batch = f"{videos} x {repeats}" if repeats > 1 else str(videos)
    return (
        f"[{facts.exp}]({facts.exp}/config.yaml)",
        _start(cfg.TRAIN.CHECKPOINT_FILE_PATH),
        batch,
        _machines(facts, cfg.TRAIN.ACCUMULATE),
        f"{count.params_m:.2f}",
        f"{count.gflops:.2f}",
        NOTHING if training is None else f"{memory_gb(cfg, count.params_m, training):.1f}",
        "" if facts.weights == NOTHING else f"`{facts.weights}`",
        "" if facts.note == NOTHING else facts.note,
    )


def _start(name: str) -> str:
    if not name:
        return "scratch"
    if name.startswith("exp:"):
        other = name.removeprefix("exp:")
        return f"[exp:{other}]({other}/config.yaml)"
    weights = released().get(name)
    return f"[{name}]({weights.link})" if weights else f"`{name}`"


def _machines(facts: Experiment, accumulate: int) -> str:
    """Published GPUs x passes, and the same batch on one node."""
    here = f"{GPUS} x {facts.nodes * accumulate}"
    return f"{facts.gpus} x {accumulate} or {here}" if facts.nodes > 1 else here


def memory_gb(cfg: CfgNode, params_m: float, training: Training) -> float:
    """GB that one of 8 GPUs of a node needs: activations of its clips, weights, their average, gradients and moments."""
    clips = max(1, cfg.TRAIN.BATCH_SIZE * cfg.AUG.NUM_SAMPLE / GPUS)
    kept = clips * (training.saved_mib + training.recomputed_mib) * 2**20
    trained_m = params_m if training.trained_m is None else training.trained_m
    parameters = Parameters(round(params_m * 4e6), round(trained_m * 4e6), 0)
    solver, average = options_of(cfg, SolverOptions), cfg.TRAIN.EMA_DECAY > 0
    return plan_memory(parameters, round(kept), solver, average).total / 1e9


def _first_words(folder: Path) -> str:
    first = (folder / "config.yaml").read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ").partition(":")[0].partition(". ")[0].rstrip(".")
