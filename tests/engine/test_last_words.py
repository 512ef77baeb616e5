"""What the last lines of a test say: the middle view beside the mean, the classes confused, the published accuracy."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from slowfast_ext.cli.summary import beside_published, ending, published_of
from slowfast_ext.config import load_config
from slowfast_ext.data.batch import EvalBatch
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.sampling import View, ViewOptions, views
from slowfast_ext.data.transforms.device import PixelOptions
from slowfast_ext.engine.checkpoint import CheckpointStore, Position
from slowfast_ext.engine.evaluate import evaluate
from slowfast_ext.engine.test import _central
from slowfast_ext.tasks import Evaluation, build_task
from slowfast_ext.tasks.metrics import confused_pairs

ROOT = Path(__file__).resolve().parents[2]


class Brightness(nn.Module):
    """Logits that follow the mean of the pixels."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, -1.0, 0.5]))

    def forward(self, clip_BCTHW):
        return clip_BCTHW.flatten(1).mean(1, keepdim=True) * self.scale


class Loader(list):
    """Batches that are there already."""

    def __init__(self, batches, videos):
        super().__init__(batches)
        self.videos = videos


def test_scores_of_the_middle_view_are_those_of_a_test_of_it_alone():
    task = build_task(load_config([], ["MODEL.NUM_CLASSES", "3"]))
    rng = torch.Generator().manual_seed(0)
    clip_BVTCHW = torch.randint(256, (4, 6, 2, 3, 4, 4), dtype=torch.uint8, generator=rng)
    records = [VideoRecord(f"{n}.mp4", (n % 3,), f"val.csv:{n}") for n in range(4)]
    labels = task.labels([record.labels for record in records])
    videos, index_B = VideoSet("kinetics", "test", records), torch.arange(4)

    def scores(view=None):
        clips = clip_BVTCHW if view is None else clip_BVTCHW[:, view : view + 1]
        loader = Loader([EvalBatch(clips, labels, index_B, [], Counter())], videos)
        central = 2 if view is None else None
        return evaluate(Brightness(), loader, task, pixels=PixelOptions(), central_view=central)

    whole, alone = scores(), scores(view=2)
    assert torch.equal(whole.of_central_view().scores[0], alone.scores[0])
    assert not torch.equal(whole.scores[0], alone.scores[0])
    assert alone.central == ()


def test_the_middle_view_is_the_central_crop_of_the_middle_clip():
    chosen = views(ViewOptions(num_ensemble_views=5, num_spatial_crops=3))
    assert chosen[_central(chosen)] == View(2, 1)
    assert _central(views(ViewOptions(num_ensemble_views=1, num_spatial_crops=1))) is None


def test_the_pairs_that_are_confused_most():
    label_M = torch.tensor([0, 0, 0, 1, 1, 2])
    taken_M = torch.tensor([1, 1, 0, 2, 1, 2])
    scores_MK = nn.functional.one_hot(taken_M, 3).float()
    assert confused_pairs(scores_MK, label_M, 5) == [(0, 1, 2, 3), (1, 2, 1, 2)]
    task = build_task(load_config([], ["MODEL.NUM_CLASSES", "3"]))
    evaluation = task_evaluation(scores_MK, label_M)
    (line,) = task.remarks(evaluation, [["fall", "walk", "run"]])
    assert line == "confused most: fall -> walk 2 of 3, walk -> run 1 of 2"


def task_evaluation(scores_MK, label_M):

    return Evaluation(
        (scores_MK,), label_M[:, None], torch.ones(len(label_M), dtype=torch.bool), {}
    )


def test_published_beside_measured(tmp_path):
    published = published_of([ROOT / "exp/motionformer_k400/config.yaml"])
    assert published == "top-1 79.7, top-5 94.2 (Motionformer Table 6b)"
    assert "measured top-1 79.3: within 0.5 points" in beside_published(
        published, {"top1_acc": 79.3}
    )
    below = beside_published(published, {"top1_acc": 77.7})
    assert "2.0 points below; look at missing videos" in below
    assert beside_published("", {"top1_acc": 50.0}) == ""
    assert beside_published(published, {"map": 50.0}) == ""
    lines = list(ending(str(tmp_path), metrics={"top1_acc": 77.7}, published=published))
    assert lines[1] == below


def test_the_best_is_offered_for_a_test_unless_it_was_tested(tmp_path):
    store = CheckpointStore(tmp_path, 0)
    store.save({"x": torch.zeros(1)}, Position(1))
    store.mark_best(Position(1))

    def offers(tested):
        *_, commands = ending(str(tmp_path), metrics={"top1_acc": 50.0}, tested=tested)
        return "slowfast-ext test" in commands

    assert not offers("best")
    assert not offers("")  # the newest is the best
    store.save({"x": torch.zeros(1)}, Position(2))
    assert offers("")
    assert offers("another.pyth")


@pytest.mark.parametrize("where", ["exp/mine/config.yaml", "config.yaml"])
def test_a_configuration_of_no_paper_has_nothing_published(tmp_path, where):
    file = tmp_path / where
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text("SOLVER: {}\n")
    assert published_of([file]) == ""
    assert published_of([ROOT / "exp/motion_vit_joint/config.yaml"]) == ""
