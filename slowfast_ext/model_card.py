"""A page that says what a checkpoint is: model, input, training, results, how to use it. From its own configuration."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from slowfast_ext import __version__
from slowfast_ext.screen import in_words

CONFIG_FILE, METRICS_FILE, CLASSES_FILE = "config.yaml", "results/metrics.json", "results/per_class.csv"  # fmt: skip

_MOST_CLASSES = 50


def model_card(
    cfg: CfgNode,
    class_names: Sequence[Sequence[str]],
    run: Path | None,
    repo: str,
    file: str,
    licence: str = "",
) -> str:
    """Markdown with the hub's header of facts. `run` is the OUTPUT_DIR whose test results are told, if there is one.

    `repo` and `file` are where the checkpoint will be, for the lines that show how to use it.
    """
    metrics = _metrics(run)
    lines = [*_front_matter(cfg, metrics, repo, licence), "", f"# {repo.split('/')[-1]}", ""]
    lines += [f"{_model_in_words(cfg)}, trained with slowfast_ext {__version__}.", ""]
    lines += ["## Use it", *_usage(repo, file), "", "## Input", *_input(cfg), ""]
    lines += ["## Training", *_training(cfg), "", "## Results", *_results(cfg, metrics, run), ""]
    lines += [*_classes(class_names)]
    return "\n".join(lines).rstrip() + "\n"


def _front_matter(
    cfg: CfgNode, metrics: Mapping[str, float], repo: str, licence: str
) -> Iterator[str]:
    facts: dict[str, Any] = {
        "library_name": "slowfast_ext",
        "pipeline_tag": "video-classification",
        "tags": ["video-classification", "action-recognition", cfg.MODEL.BACKBONE],
    }
    if licence:
        facts["license"] = licence
    if metrics:
        found = [{"type": name, "value": round(value, 2)} for name, value in metrics.items()]
        task = {"type": "video-classification"}
        data = {"name": cfg.TEST.DATASET, "type": cfg.TEST.DATASET}
        result = {"task": task, "dataset": data, "metrics": found}
        facts["model-index"] = [{"name": repo.split("/")[-1], "results": [result]}]
    yield "---"
    yield yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).rstrip()
    yield "---"


def _model_in_words(cfg: CfgNode) -> str:
    attention = ", ".join(str(name) for name in cfg.ATTENTION.CYCLE) or "its own"
    kernel = cfg.ATTENTION.KERNEL
    return (
        f"A video classifier: backbone `{cfg.MODEL.BACKBONE}`, attention {attention} with {kernel}"
    )


def _usage(repo: str, file: str) -> Iterator[str]:
    folder = repo.split("/")[-1]
    yield "```bash"
    yield f"slowfast-ext pull {repo}                                # into the folder {folder}"
    yield f"slowfast-ext predict --weights {folder}/{file} VIDEO"
    yield f"slowfast-ext finetune YOUR_VIDEOS --from {folder}/{file}"
    yield "```"
    yield ""
    yield "```python"
    yield "import slowfast_ext"
    yield ""
    yield f'slowfast_ext.Recognizer("{folder}/{file}")("video.mp4").top(5)'
    yield "```"


def _input(cfg: CfgNode) -> Iterator[str]:
    data, test = cfg.DATA, cfg.TEST
    clip = f"{data.NUM_FRAMES} frames"
    if data.SAMPLING == "dense":
        clip += f", every {data.SAMPLING_RATE}th" if data.SAMPLING_RATE > 1 else ", one after the other"  # fmt: skip
    else:
        clip += ", spread over the whole video"
    yield f"- clip: {clip}"
    yield f"- pixels: {data.TEST_CROP_SIZE}, mean {list(data.MEAN)}, standard deviation {list(data.STD)}"
    yield f"- test: {test.NUM_ENSEMBLE_VIEWS} clips x {test.NUM_SPATIAL_CROPS} crops, averaged"


def _training(cfg: CfgNode) -> Iterator[str]:
    solver = cfg.SOLVER
    yield f"- data: `{cfg.TRAIN.DATASET}`"
    yield f"- {solver.MAX_EPOCH} epochs, batches of {cfg.TRAIN.BATCH_SIZE}, {solver.OPTIMIZING_METHOD}, rate {solver.BASE_LR:g}, weight decay {solver.WEIGHT_DECAY:g}"
    start = cfg.TRAIN.CHECKPOINT_FILE_PATH
    yield f"- started from `{Path(start).name}`" if start else "- started from random weights"
    yield f"- every setting: `{CONFIG_FILE}`"


def _results(cfg: CfgNode, metrics: Mapping[str, float], run: Path | None) -> Iterator[str]:
    if not metrics:
        yield "Not tested."
        return
    yield f"On the test split of `{cfg.TEST.DATASET}`: {', '.join(in_words(*item) for item in metrics.items())}."
    rows = _rows(run)
    if rows:
        yield ""
        names = list(rows[0])
        yield f"| {' | '.join(names)} |"
        yield f"|{' --- |' * len(names)}"
        yield from (f"| {' | '.join(row.values())} |" for row in rows[:_MOST_CLASSES])
        if len(rows) > _MOST_CLASSES:
            yield f"\n{len(rows) - _MOST_CLASSES} more classes are in `{CLASSES_FILE}` of the run."


def _classes(class_names: Sequence[Sequence[str]]) -> Iterator[str]:
    for number, names in enumerate(class_names):
        head = f" of head {number}" if len(class_names) > 1 else ""
        shown = ", ".join(names[:_MOST_CLASSES])
        more = f", ... ({len(names)} in all, inside the checkpoint)" if len(names) > _MOST_CLASSES else ""  # fmt: skip
        yield f"## Classes{head}"
        yield f"{shown}{more}"
        yield ""


def _metrics(run: Path | None) -> dict[str, float]:
    path = run / METRICS_FILE if run else None
    if path is None or not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if isinstance(value, float)}


def _rows(run: Path | None) -> list[dict[str, str]]:
    path = run / CLASSES_FILE if run else None
    if path is None or not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _short(value) for name, value in row.items()} for row in csv.DictReader(file)]  # fmt: skip


def _short(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value.replace("|", "/")
    return value if number.is_integer() else f"{number:.1f}"
