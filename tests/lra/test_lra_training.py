"""Training: falling loss, the recipe's schedule, batches, the command."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from lra_cases import SMALL, recipe

from projects.lra.compare import compare, shortened
from projects.lra.tasks import TASKS
from projects.lra.training import build_run, examples_of_step, run, train
from slowfast_ext.config import options_of
from slowfast_ext.engine.optim import SolverOptions, learning_rate
from slowfast_ext.errors import ConfigError

TOOL = Path(__file__).resolve().parents[2] / "projects/lra/run.py"


def small(tmp_path, *pairs):
    folders = ["OUTPUT_DIR", tmp_path / "out", "LRA.DATA_DIR", tmp_path / "data"]
    return shortened(recipe("listops", *folders, *pairs), 60)


@pytest.mark.parametrize("kernel", ["softmax", "orthoformer"])
def test_loss_falls_and_the_best_weights_are_tested(tmp_path, kernel):
    fast = ["SOLVER.BASE_LR", 0.01, "LRA.EVAL_PERIOD", 30, "ATTENTION.KERNEL", kernel]
    lra_run = build_run(small(tmp_path, *fast))
    train(lra_run)
    assert len(lra_run.losses) == 6
    assert lra_run.losses[-1] < 0.8 * lra_run.losses[0]
    assert lra_run.bad_steps == 0
    assert lra_run.best_weights is not None


def test_a_run_repeats_itself(tmp_path):
    a, b = (run(small(tmp_path, "LRA.EVAL_PERIOD", 20)) for _ in range(2))
    assert (a.test_acc, a.val_acc, a.train_loss) == (b.test_acc, b.val_acc, b.train_loss)
    assert a.gflops > 0
    assert a.params == b.params > 0
    lines = (tmp_path / "out" / "stats.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["_type"] for line in lines]
    assert kinds[: len(kinds) // 2].count("val_iter") == 3
    assert kinds[-1] == "test_final"


def test_every_example_once_a_pass():
    steps = [examples_of_step(10, 4, seed=0, step=step) for step in range(5)]
    assert [len(index) for index in steps] == [4] * 5
    drawn = np.concatenate(steps)
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()


@pytest.mark.parametrize("task", TASKS.names())
def test_recipes_rise_and_fall_linearly(task):
    cfg = recipe(task, small=False)
    last, warm = cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.WARMUP_EPOCHS
    points = (0, warm / 2, warm, (warm + last) / 2, last)
    rates = [
        learning_rate(options_of(cfg, SolverOptions), point, cfg.TRAIN.BATCH_SIZE)
        for point in points
    ]
    assert rates == pytest.approx([4e-6, 5.2e-5, 1e-4, 5e-5, 4e-10], rel=1e-4)


def test_fewer_steps_shorten_the_warm_up():
    cfg = shortened(recipe(), 50)
    assert (cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.WARMUP_EPOCHS) == (50, 10)


@pytest.mark.parametrize(
    ("kernel", "pairs", "said"),
    [
        ("sofmax", [], "softmax"),
        ("softmax", ["LRA.TASK", "listop"], "listops"),
        ("softmax", ["LRA.NUM_HEADS", 3], "LRA.NUM_HEADS"),
        ("softmax", ["LRA.LISTOPS.MIN_LENGTH", 31], "LRA.LISTOPS.MAX_LENGTH"),
        ("softmax", ["ATTENTION.CYCLE", "[divided]"], "ATTENTION.CYCLE"),
        ("orthoformer", ["ATTENTION.ORTHOFORMER.SELECTION", "random"], "orthogonal"),
        ("orthoformer", ["ATTENTION.ORTHOFORMER.SUBSAMPLE", 0.5], "SUBSAMPLE"),
    ],
)
def test_what_cannot_run_is_said_first(tmp_path, kernel, pairs, said):
    with pytest.raises(ConfigError, match=said):
        compare(small(tmp_path, *pairs), [kernel])
    assert not tmp_path.joinpath("out").exists()


def load_tool():
    spec = importlib.util.spec_from_file_location("lra_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_command_reports_the_kernels_side_by_side(tmp_path, capsys):
    folders = ["OUTPUT_DIR", str(tmp_path), "LRA.DATA_DIR", str(tmp_path)]
    words = ["--task", "listops", "--steps", "2", "--kernels", "softmax", *SMALL, *folders]
    assert load_tool().main(words) == 0
    (result,) = json.loads((tmp_path / "listops" / "report.json").read_text())
    assert result["kernel"] == "softmax"
    assert result["peak_mb"] >= 0
    assert "softmax" in capsys.readouterr().out


def test_command_says_what_is_wrong(tmp_path, capsys):
    tool = load_tool()
    assert tool.main(["--task", "text", "--steps", "2", "LRA.DATA_DIR", str(tmp_path),
                      "OUTPUT_DIR", str(tmp_path)]) == 2  # fmt: skip
    assert "aclImdb_v1.tar.gz" in capsys.readouterr().err
    assert tool.main(["--task", "listops", "--kernels", "sofmax", "OUTPUT_DIR", str(tmp_path)]) == 2
    assert "softmax" in capsys.readouterr().err
