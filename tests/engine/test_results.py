"""The files that a test leaves: numbers as in the lists, names beside them, each fact once."""

import csv

import pytest
import torch

from slowfast_ext.config import load_config
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.engine.results import write_results
from slowfast_ext.tasks import Evaluation, build_task


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def evaluation(task, labels, *scores):
    count = len(labels)
    decoded = torch.tensor([*[True] * (count - 1), False])
    reason = f"{count - 1}.mp4 (val.csv:{count}): no video stream"
    return Evaluation(scores, task.labels(labels), decoded, {count - 1: reason})


@pytest.mark.parametrize("named", [True, False])
def test_predictions_have_names_and_unreadable_videos_one_path(tmp_path, named):
    names = (("fall", "walk", "run"),) if named else ()
    labels = [(0,), (2,)]
    records = [VideoRecord(f"{n}.mp4", own, f"val.csv:{n + 1}") for n, own in enumerate(labels)]
    task = build_task(load_config([], ["MODEL.NUM_CLASSES", "3"]))
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.0, 0.0, 0.0]])
    videos = VideoSet("kinetics", "test", records, class_names=names)
    found = evaluation(task, labels, scores)
    folder = write_results(tmp_path, videos, found, {"top1_acc": 0.0}, task)
    first = rows_of(folder / "predictions.csv")[0]
    assert (first["labels"], first["predicted"]) == ("0", "1")
    told = ("fall", "walk") if named else ("", "")
    assert (first["label_names"], first["predicted_names"]) == told
    assert rows_of(folder / "unreadable.csv") == [
        {"video": "1.mp4", "reason": "no video stream", "listed at": "val.csv:2"}
    ]


def test_names_of_two_heads(tmp_path):
    names = (("cut", "wash"), ("knife", "pan", "cup"))
    labels = [(1, 2), (0, 0)]
    records = [VideoRecord(f"{n}.mp4", own, f"val.csv:{n + 1}") for n, own in enumerate(labels)]
    task = build_task(load_config([], ["MODEL.NUM_CLASSES", "[2, 3]"]))
    heads = torch.tensor([[0.9, 0.1], [0.0, 0.0]]), torch.tensor([[0.1, 0.8, 0.1], [0.0, 0.0, 0.0]])
    videos = VideoSet("epic", "test", records, class_names=names)
    folder = write_results(tmp_path, videos, evaluation(task, labels, *heads), {}, task)
    first = rows_of(folder / "predictions.csv")[0]
    assert first["label_names"] == "wash; cup"
    assert first["predicted_names"] == "cut; pan"
