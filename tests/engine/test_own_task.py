"""A task and a metric of one's own are one file each, named by IMPORT."""

import json

from tiny_run import run_command

from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.engine.log import read_stats

REGRESSION = """
from torch import nn

from slowfast_ext.tasks import TASKS, Task, metric


@metric("mae", lower_is_better=True)
def mean_absolute_error(evaluation):
    return (evaluation.scores[0] - evaluation.labels).abs()[evaluation.decoded].mean().item()


@TASKS.register("regression")
class Regression(Task):
    metrics = ("mae",)
    running = ("mae",)
    output_sizes = (1,)

    def head(self, dim):
        return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))

    def targets(self, labels):
        return (labels.float(),)

    def loss(self, output, targets):
        return (output.float() - targets[0]).square().mean()

    def running_sums(self, output, targets):
        return ((output.detach() - targets[0]).abs().sum().double(),)
"""
METRIC = """
from slowfast_ext.tasks import metric


@metric("misses", tasks=("single_label",), lower_is_better=True)
def misses(evaluation):
    return (evaluation.scores[0].argmax(1) != evaluation.labels[:, 0]).sum().item()
"""


def test_regression_trains_keeps_the_best_and_is_tested(settings, tmp_path):
    (tmp_path / "regression.py").write_text(REGRESSION)
    more = {"IMPORT": f"[{tmp_path}/regression.py]", "TASK": "regression", "SOLVER.MAX_EPOCH": 4}
    done = run_command({**settings, **more, "SOLVER.BASE_LR": 0.01, "SOLVER.WEIGHT_DECAY": 0.0})
    assert done.returncode == 0, done.stderr
    out = settings["OUTPUT_DIR"]
    errors = [stats["mae"] for stats in read_stats(out, "val_epoch")]
    assert min(errors) < errors[0]
    best = read_checkpoint(CheckpointStore(out, 0).find("best"))
    assert best["position"]["epoch"] == errors.index(min(errors)) + 1
    assert 0 < json.loads((out / "results/metrics.json").read_text())["mae"] < 12
    running = [stats["mae"] for stats in read_stats(out, "train_epoch")]
    assert running[-1] < running[0]


def test_metric_added_to_a_task_chooses_the_best_checkpoint(settings, tmp_path):
    (tmp_path / "misses.py").write_text(METRIC)
    done = run_command(
        {**settings, "IMPORT": f"[{tmp_path}/misses.py]", "TEST.METRIC": "misses"},
        TEST__ENABLE=False,
    )
    assert done.returncode == 0, done.stderr
    misses = [stats["misses"] for stats in read_stats(settings["OUTPUT_DIR"], "val_epoch")]
    newest = CheckpointStore(settings["OUTPUT_DIR"], 0).find("")
    assert read_checkpoint(newest)["best"] == -min(misses)
