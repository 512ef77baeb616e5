"""What one run has left in its folder, read as far as it is there: every file may be missing or cut short."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load_file

from slowfast_ext.analysis.report.predictions import Predictions, from_best, from_scores
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import CheckpointError, DataError
from slowfast_ext.files import read_weights

RESULTS = "results"
_PIECE = {"start": float, "end": float, "start_frame": int, "end_frame": int, "num_frames": int}


@dataclass(frozen=True)
class Run:
    """A folder's settings (dotted), metrics of its test, log lines, videos and predictions; `notes` say what is missing."""

    folder: Path
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    stats: Sequence[Mapping[str, Any]]
    videos: Sequence[VideoRecord] = ()
    heads: Sequence[Predictions] = ()
    unreadable: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = field(default=())

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The last test_final line: videos, evaluated, views."""
        tests = [line for line in self.stats if line.get("_type") == "test_final"]
        return tests[-1] if tests else {}


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """The folders of runs: each itself, or where it is none, those in it. Raises DataError where there is none."""
    found: list[Path] = []
    for folder in folders:
        inside = sorted(p for depth in ("*", "*/*") for p in folder.glob(depth) if _is_run(p))
        own = [folder] if _is_run(folder) else inside
        if not own:
            missing = "has no" if folder.is_dir() else "is no folder: no"
            raise DataError(
                f"{folder}: {missing} {RESULTS}/metrics.json and no stats.jsonl; "
                "give the OUTPUT_DIR of a run that was trained or tested"
            )
        found.extend(own)
    return list(dict.fromkeys(found))


def _is_run(folder: Path) -> bool:
    return (folder / RESULTS / "metrics.json").is_file() or (folder / "stats.jsonl").is_file()


def read_run(folder: Path) -> Run:
    """All there is of a run. Raises DataError for a file that is there but is not what its name says."""
    results, notes = folder / RESULTS, []
    metrics = _read_json(results / "metrics.json")
    if not metrics:
        notes.append(
            "The run was not tested: there are only training curves and the configuration."
        )
    stats = _read_stats(folder / "stats.jsonl")
    if not any(line.get("_type") == "train_epoch" for line in stats):
        notes.append("There is no training log (stats.jsonl) in this folder: no training curves.")
    rows = _read_csv(results / "predictions.csv")
    if metrics and not rows:
        notes.append("predictions.csv is missing: no classes, confusions and clips.")
    heads = _heads(folder, rows, notes)
    bad = [(r.get("video", ""), r.get("reason", "")) for r in _read_csv(results / "unreadable.csv")]
    videos = [_record(row) for row in rows]
    numbers = {k: v for k, v in metrics.items() if isinstance(v, (int, float))}
    return Run(
        folder, _read_settings(folder / "config.yaml"), numbers, stats, videos, heads, bad, notes
    )


def _heads(folder: Path, rows: Sequence[Mapping[str, str]], notes: list[str]) -> list[Predictions]:
    """The heads; none, with a note, where labels and predictions are no numbers of classes (a task of one's own)."""
    try:
        heads = _read_heads(folder, rows, notes) if rows else []
    except (ValueError, IndexError):
        heads = []
    heads = [head for head in heads if len(head.class_names) > 1]
    if rows and not heads:
        notes.append("What this task predicts is no class: no classes, confusions and clips.")
    return heads


def _read_heads(
    folder: Path, rows: Sequence[Mapping[str, str]], notes: list[str]
) -> list[Predictions]:
    decoded_M = np.array([row.get("decoded", "True") in ("True", "1", "true") for row in rows])
    labels = [tuple(map(int, row.get("labels", "").split())) for row in rows]
    count = max((len(row.get("predicted", "").split()) for row in rows), default=0)
    scores = _read_scores(folder / RESULTS / "scores.safetensors", len(rows), notes)
    whole = [scores.get(f"scores{head}") for head in range(count)]
    kind = scores.get("labels")
    several = any(len(own) != count for own in labels)
    multi = several or (kind is not None and kind.dtype.kind == "f")
    files = sorted((folder / RESULTS).glob("*per_class.csv"))
    prefixes = {path.name.removesuffix("per_class.csv"): path for path in files}
    usual = _head_names(count)
    own_names = len(prefixes) == count and not set(usual) <= set(prefixes)
    names = list(prefixes) if own_names else usual
    heads = []
    for head, name in enumerate(names):
        own = list(labels) if multi else [(row[head],) for row in labels]
        top = max((max(row, default=0) for row in own), default=0)
        scores_MK, title = whole[head], name.rstrip("_")
        size = top + 1 if scores_MK is None else scores_MK.shape[1]
        classes = _class_names(folder, prefixes.get(name), head, size)
        single = scores.get(f"single_view{head}")
        if scores_MK is not None and scores_MK.shape[1] > top:
            heads.append(from_scores(title, classes, scores_MK, own, decoded_M, multi, single))
            continue
        best = _column(rows, "predicted", head).astype(int)
        size = max(size, int(best.max(initial=0)) + 1)
        classes = [*classes, *map(str, range(len(classes), size))]
        heads.append(
            from_best(title, classes, best, _column(rows, "score", head), own, decoded_M, multi)
        )
    return heads


def _head_names(count: int) -> list[str]:
    if count == 1:
        return [""]
    return ["verb_", "noun_"] if count == 2 else [f"head{i}_" for i in range(count)]


def _column(rows: Sequence[Mapping[str, str]], name: str, head: int) -> np.ndarray:
    return np.array([float((row.get(name, "").split() or ["0"])[head]) for row in rows])


def _class_names(folder: Path, table: Path | None, head: int, count: int) -> list[str]:
    """Names from per_class.csv, else from the newest checkpoint, else numbers."""
    names = [row.get("name", "") for row in _read_csv(table)] if table else []
    if len(names) < count:
        names = list(_names_of_checkpoint(folder, head))
    return names if len(names) == count else [str(index) for index in range(count)]


def _names_of_checkpoint(folder: Path, head: int) -> Sequence[str]:
    found = sorted((folder / "checkpoints").glob("*.pyth"), key=lambda path: path.stat().st_mtime)
    try:
        names = read_weights(found[-1]).get("class_names") if found else None
    except CheckpointError:
        return ()
    return names[head] if isinstance(names, (list, tuple)) and head < len(names) else ()


def _record(row: Mapping[str, str]) -> VideoRecord:
    """The video of a line; columns that say which piece of the file it is are read where they are there."""
    piece: dict[str, Any] = {
        name: kind(row[name]) for name, kind in _PIECE.items() if row.get(name) not in (None, "")
    }
    return VideoRecord(row.get("video", ""), (), "predictions.csv", **piece)


def _read_settings(path: Path) -> dict[str, Any]:
    """Dotted key -> value, as written: keys of an older version stay."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not readable as a configuration: {error}") from error
    return dict(_flat(tree or {}, ""))


def _flat(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        leaves.extend(_flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)])
    return leaves


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable ({error}); test the run again") from error
    return found if isinstance(found, dict) else {}


def _read_stats(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that was cut short by a kill is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        lines.extend([line] if isinstance(line, dict) else [])
    return lines


def _read_csv(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not readable ({error}); test the run again") from error


def _read_scores(path: Path, count: int, notes: list[str]) -> dict[str, np.ndarray]:
    """The tensors of a test; none, with a note, where the file is missing or of another test."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        notes.append(
            f"{path.name} is not readable ({error}): only the best class of each video is known."
        )
        return {}
    scores = tensors.get("scores0")
    if scores is None or len(scores) != count:
        notes.append(
            f"{path.name} does not belong to predictions.csv: only the best class is known."
        )
        return {}
    return tensors
