"""What a test leaves in OUTPUT_DIR/results: scores, metrics, per-class table, confusion, unreadable videos.

Shapes: M videos, K classes of a head.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from slowfast_ext.data.records import VideoSet
from slowfast_ext.engine.metrics import Evaluation, Metrics, confusion, head_names, hits
from slowfast_ext.files import write_atomically

FOLDER = "results"


def write_results(
    output_dir: str | Path, videos: VideoSet, evaluation: Evaluation, metrics: Metrics, policy: str
) -> Path:
    """Write all files of a test; returns their folder."""
    folder = Path(output_dir) / FOLDER
    _write_text(folder / "metrics.json", json.dumps(metrics, indent=2))
    _write_scores(folder / "scores.safetensors", evaluation)
    _write_csv(folder / "predictions.csv", _prediction_rows(videos, evaluation))
    bad = [
        ("video", "reason"),
        *((videos.records[i].path, why) for i, why in evaluation.errors.items()),
    ]
    _write_csv(folder / "unreadable.csv", bad)
    if not evaluation.multi_label:
        _write_heads(folder, videos, evaluation.counted(policy))
    return folder


def _write_heads(folder: Path, videos: VideoSet, counted: Evaluation) -> None:
    count = len(counted.scores)
    for head, name in enumerate(head_names(count) if count > 1 else [""]):
        prefix = f"{name}_" if name else ""
        names = class_names(videos, head, counted.scores[head].shape[1])
        decoded_M, label_M = counted.decoded, counted.labels[:, head]
        table_KK = confusion(counted.scores[head][decoded_M], label_M[decoded_M])
        rows = [
            ["label \\ predicted", *names],
            *([n, *row] for n, row in zip(names, table_KK.tolist(), strict=True)),
        ]
        _write_csv(folder / f"{prefix}confusion.csv", rows)
        hit_M = hits(counted.scores[head], label_M, decoded_M, 1)
        _write_csv(folder / f"{prefix}per_class.csv", _class_rows(names, label_M, hit_M))


def class_names(videos: VideoSet, head: int, count: int) -> Sequence[str]:
    """Names of the classes of a head; their numbers where the set has no names."""
    if head < len(videos.class_names) and videos.class_names[head]:
        return videos.class_names[head]
    return [str(index) for index in range(count)]


def _class_rows(names: Sequence[str], label_M: Tensor, hit_M: Tensor) -> Iterable[Sequence[object]]:
    yield "class", "name", "videos", "right", "accuracy"
    for index, name in enumerate(names):
        own_M = label_M == index
        size, right = int(own_M.sum()), int(hit_M[own_M].sum())
        yield index, name, size, right, f"{100 * right / size:.2f}" if size else ""


def _prediction_rows(videos: VideoSet, evaluation: Evaluation) -> Iterable[Sequence[object]]:
    yield "index", "video", "labels", "predicted", "score", "decoded"
    best = [scores_MK.max(1) for scores_MK in evaluation.scores]
    for index, record in enumerate(videos):
        labels = " ".join(str(label) for label in record.labels)
        predicted = " ".join(str(int(b.indices[index])) for b in best)
        score = " ".join(f"{float(b.values[index]):.6f}" for b in best)
        yield index, record.path, labels, predicted, score, bool(evaluation.decoded[index])


def _write_scores(path: Path, evaluation: Evaluation) -> None:
    tensors = {f"scores{head}": scores_MK for head, scores_MK in enumerate(evaluation.scores)}
    tensors |= {"labels": evaluation.labels, "decoded": evaluation.decoded.to(torch.uint8)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary))


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)

    write_atomically(path, write)


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
