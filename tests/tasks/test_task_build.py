import math

import pytest
import torch

from slowfast_ext.config import load_config
from slowfast_ext.engine.checks import CHECKS
from slowfast_ext.errors import ConfigError
from slowfast_ext.tasks import METRICS, TASKS, Task
from slowfast_ext.tasks.base import ScoreOptions
from slowfast_ext.tasks.metrics import Evaluation


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["TEST.METRIC", "map"], "single_label has no metric 'map'"),
        (["TEST.METRIC", "top1_ac"], "did you mean top1_acc"),
        (
            ["DATA.MULTI_LABEL", "True", "TEST.METRIC", "mean_class_acc"],
            "multi_label has no metric",
        ),
        (["MODEL.NUM_CLASSES", "[3, 4, 5]"], "has 3 heads.*; give one for each of .*noun"),
        (
            ["MODEL.NUM_CLASSES", "[3, 4]", "DATA.MULTI_LABEL", "True"],
            "has 2 heads.*; give one value",
        ),
        (["TASK", "multi_lable"], "did you mean multi_label"),
        (["DATA.MULTI_LABEL", "True", "TRAIN.BALANCED_SAMPLING", "True"], "several labels a video"),
    ],
)
def test_what_does_not_fit_the_task_is_said_at_the_start(pairs, words):
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
        load_config([], pairs, CHECKS)


def test_multi_label_takes_its_own_metric_for_the_default():
    load_config([], ["DATA.MULTI_LABEL", "True"], CHECKS)


def test_every_task_has_a_metric_that_can_be_best():
    for name, kind in TASKS:
        task = kind(() if name == "masked_pretraining" else [3] * len(kind.head_names))
        first = task.metric_names[0]
        assert task.best_by(ScoreOptions().metric) in task.metric_names
        assert task.best_by(first) == first
        assert first in METRICS
        with pytest.raises(ConfigError, match=f"{name} has no metric 'f2'"):
            task.best_by("f2")


def test_the_first_metric_stands_for_a_default_that_the_task_lacks():
    class Two(Task):
        metrics = ("map", "mean_class_acc")

    assert Two((3,)).best_by(ScoreOptions().metric) == "map"


def test_metrics_are_not_asked_where_no_video_is_left(monkeypatch):
    def careless(evaluation):
        raise ZeroDivisionError

    monkeypatch.setattr(METRICS.get("top1_acc"), "compute", careless)
    task = TASKS.get("single_label")((3,))
    nothing = Evaluation((torch.zeros(0, 3),), torch.zeros(0, 1), torch.zeros(0).bool(), {})
    assert all(math.isnan(value) for value in task.evaluate(nothing).values())


def test_a_task_without_a_metric_is_told_at_the_start(monkeypatch):
    class Silent(Task):
        metrics = ()

    monkeypatch.setitem(TASKS._things, "silent", Silent)
    monkeypatch.setitem(TASKS._options, "silent", ())
    with pytest.raises(ConfigError, match=r"TEST.METRIC.*silent has no metric"):
        load_config([], ["TASK", "silent"], CHECKS)
