"""What a test leaves in OUTPUT_DIR/results: scores, metrics, predictions, unreadable videos and the tables of the task."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.files import write_atomically
from slowfast_ext.safe_text import write_rows
from slowfast_ext.tasks import Evaluation, Metrics, Task

FOLDER = "results"


def write_results(
    output_dir: str | Path,
    videos: VideoSet,
    evaluation: Evaluation,
    metrics: Metrics,
    task: Task,
    on_decode_error: str = "wrong",
) -> Path:
    """Write all files of a test; returns their folder."""
    folder = Path(output_dir) / FOLDER
    _write_text(folder / "metrics.json", json.dumps(metrics, indent=2))
    _write_scores(folder / "scores.safetensors", evaluation)
    _write_csv(folder / "predictions.csv", _prediction_rows(videos, evaluation, task))
    bad = [_unreadable_row(videos.records[at], why) for at, why in evaluation.errors.items()]
    _write_csv(folder / "unreadable.csv", [("video", "reason", "listed at"), *bad])
    names = [class_names(videos, head, count) for head, count in enumerate(task.num_classes)]
    for name, rows in task.tables(evaluation.counted(on_decode_error), names):
        _write_csv(folder / name, rows)
    return folder


def class_names(videos: VideoSet, head: int, count: int) -> Sequence[str]:
    """Names of the classes of a head; their numbers where the set has no names."""
    if head < len(videos.class_names) and videos.class_names[head]:
        return videos.class_names[head]
    return [str(index) for index in range(count)]


def _prediction_rows(
    videos: VideoSet, evaluation: Evaluation, task: Task
) -> Iterator[Sequence[object]]:
    """Classes by number, as in the lists, and at the end by name, where the set has names."""
    yield (
        "index",
        "video",
        "labels",
        "predicted",
        "score",
        "decoded",
        "label_names",
        "predicted_names",
    )
    predictions = zip(videos, task.predictions(evaluation), strict=True)
    for index, (record, (predicted, score)) in enumerate(predictions):
        labels = " ".join(map(str, record.labels))
        by_head = [
            own.split()
            for own in ([predicted] if len(task.num_classes) == 1 else predicted.split())
        ]
        names = _names(videos, task.by_head(record.labels)), _names(videos, by_head)
        yield index, record.path, labels, predicted, score, bool(evaluation.decoded[index]), *names


def _names(videos: VideoSet, classes_by_head: Iterable[Iterable[int | str]]) -> str:
    """Names of the classes of each head, "; " between; empty where the set has none."""
    found = []
    for names, classes in zip(videos.class_names, classes_by_head, strict=False):
        found += [names[int(own)] for own in classes if names and 0 <= int(own) < len(names)]
    return "; ".join(found)


def _unreadable_row(record: VideoRecord, why: str) -> tuple[str, str, str]:
    """Path, reason and place in the list, each once: an error of an evaluation has all three in one line."""
    place = f"{record.path} ({record.location}): "
    return record.path, why.removeprefix(place).removeprefix(f"{record.path}: "), record.location


def _write_scores(path: Path, evaluation: Evaluation) -> None:
    tensors = {f"scores{head}": scores_MK for head, scores_MK in enumerate(evaluation.scores)}
    tensors |= {"labels": evaluation.labels, "decoded": evaluation.decoded.to(torch.uint8)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary))


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            write_rows(file, rows)

    write_atomically(path, write)


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
