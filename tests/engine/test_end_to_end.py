"""Train, resume and test on real clips in this process; commands are in test_commands.py."""

import csv
import json
import re
import signal
from contextlib import nullcontext

import pytest
import torch
from tiny_run import SETTINGS, config, final_weights, losses, train

from slowfast_ext.cli import jobs
from slowfast_ext.cli.signals import STOP_SIGNALS
from slowfast_ext.config import load_config, options_of
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.loader import EvalLoader
from slowfast_ext.data.sampling import ViewOptions, views
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.engine.evaluate import evaluate
from slowfast_ext.engine.log import read_stats
from slowfast_ext.errors import CheckpointError, ConfigError, DataError, Interrupted
from slowfast_ext.hub import load_model
from slowfast_ext.models.weights import current_names
from slowfast_ext.processes import StopRequest
from slowfast_ext.tasks import build_task

STEPS = 4


def test_train_and_test_leave_everything_a_user_looks_for(settings, caplog):
    jobs.train_and_test(config(settings))
    out = settings["OUTPUT_DIR"]
    kinds = [stats["_type"] for stats in read_stats(out)]
    assert kinds.count("train_iter") == 2 * STEPS
    assert kinds.count("train_epoch") == kinds.count("val_epoch") == 2
    (final,) = read_stats(out, "test_final")
    assert (final["evaluated"], final["videos"], final["views"]) == (13, 13, 6)
    written = json.loads((out / "results/metrics.json").read_text())
    assert final["top1_acc"] == pytest.approx(written["top1_acc"])
    assert load_config([out / "config.yaml"], []) == config(settings)
    log = (out / "stdout.log").read_text()
    assert "evaluated 13 of 13 videos, 6 views each" in log
    assert 0 <= final["one_view_top1_acc"] <= 100
    assert all(words in log for words in ("the middle view alone: top1", "confused most: "))
    assert "effective batch: 6 clips" in log
    with (out / "results/predictions.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 13
    names = sorted(path.name for path in (out / "checkpoints").iterdir())
    assert names == [
        "checkpoint_best.pyth",
        "checkpoint_epoch_00001.pyth",
        "checkpoint_epoch_00002.pyth",
    ]


def test_threads_of_the_caller_stay_as_they_were(settings, monkeypatch):
    """Last bits of sums hang on their number: what a notebook computes next must not depend on a run before."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    seen, before = set(), torch.get_num_threads()
    monkeypatch.setattr(jobs, "train", lambda run: seen.add(torch.get_num_threads()) or 1 / 0)
    for workers in (0, 5):
        with pytest.raises(ZeroDivisionError):
            jobs.train_and_test(config(settings, DATA_LOADER__NUM_WORKERS=workers))
        assert torch.get_num_threads() == before
    assert seen == {8, 3}


class StopAfter(StopRequest):
    """A signal that comes during step `step`."""

    def __init__(self, step):
        super().__init__("SIGTERM")
        self._left = step + 1

    def __bool__(self):
        self._left -= 1
        return self._left <= 0


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("step", [0, 2, 3, 5])
def test_interrupted_and_resumed_equals_unbroken(settings, tmp_path, monkeypatch, step, workers):
    more = {
        "TRAIN__EMA_DECAY": 0.9,
        "MODEL__DROP_PATH": 0.3,
        "MIXUP__ENABLE": True,
        "DATA_LOADER__NUM_WORKERS": workers,
    }
    unbroken = train({**settings, "OUTPUT_DIR": tmp_path / "unbroken"}, **more)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "stop_on_signals", lambda **_: nullcontext(StopAfter(step)))
        with pytest.raises(Interrupted):
            train(settings, **more)
    resumed = train(settings, **more)
    assert resumed[0] == unbroken[0]
    assert all(torch.equal(resumed[1][name], tensor) for name, tensor in unbroken[1].items())
    assert read_stats(settings["OUTPUT_DIR"], "val_epoch") == read_stats(
        tmp_path / "unbroken", "val_epoch"
    )


def test_damaged_newest_checkpoint_costs_only_what_follows_the_one_before(settings, tmp_path):
    unbroken = train({**settings, "OUTPUT_DIR": tmp_path / "unbroken"})
    train(settings, TRAIN__CHECKPOINT_STEPS=1)
    newest = settings["OUTPUT_DIR"] / "checkpoints/checkpoint_epoch_00002.pyth"
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = train(settings)
    assert resumed[0] == unbroken[0]
    assert "damaged checkpoint passed over" in (settings["OUTPUT_DIR"] / "stdout.log").read_text()


@pytest.mark.parametrize("max_bad_steps", [1, 3, 10])
@pytest.mark.parametrize("period", [1, 3, 7, 10, 25])
def test_any_log_period_goes_with_any_number_of_bad_steps(settings, period, max_bad_steps):
    train(
        settings,
        LOG_PERIOD=period,
        TRAIN__MAX_BAD_STEPS=max_bad_steps,
        TRAIN__BATCH_SIZE=1,
        SOLVER__MAX_EPOCH=2,
        TRAIN__EVAL_PERIOD=2,
        MOTION__NUM_TRAIN=24,
    )
    lines = read_stats(settings["OUTPUT_DIR"], "train_iter")
    assert len(lines) == 48 // period
    assert all(line["bad_steps"] == 0 for line in lines)


@pytest.mark.parametrize("period", [2, 25])
def test_bad_steps_in_a_row_end_the_run_between_log_lines(settings, period):
    with pytest.raises(DataError, match="3 steps in a row"):
        train(
            settings,
            LOG_PERIOD=period,
            TRAIN__MAX_BAD_STEPS=3,
            TRAIN__BATCH_SIZE=1,
            SOLVER__BASE_LR=1e30,
            SOLVER__OPTIMIZING_METHOD="sgd",
        )


def test_more_accumulated_batches_than_an_epoch_has(settings):
    with pytest.raises(ConfigError, match="an epoch has only 4 batches"):
        train(settings, TRAIN__ACCUMULATE=5)


def test_resume_with_other_weight_decay_uses_it_and_with_another_model_is_refused(settings):
    train(settings, SOLVER__MAX_EPOCH=1)
    train(settings, SOLVER__WEIGHT_DECAY=0.5)
    store = CheckpointStore(settings["OUTPUT_DIR"], 0)
    groups = read_checkpoint(store.find(""))["optimizer_state"]["param_groups"]
    assert {group["weight_decay"] for group in groups} == {0.0, 0.5}
    for change in ({"VIT__DEPTH": 3}, {"SOLVER__OPTIMIZING_METHOD": "sgd"}):
        with pytest.raises(CheckpointError, match="cannot be resumed"):
            train(settings, SOLVER__MAX_EPOCH=3, **change)


OLD_NAMES = (
    (r"\.patch_embed\.proj\.", ".embed.tubelets."),
    (r"\.(cls_token|pos_embed)$", r".embed.\1"),
    (r"\.temp_embed$", ".embed.time_embed"),
    (r"(blocks\.\d)\.mlp\.", r"\1.mlp.layer."),
    (r"(blocks\.\d)\.attn\.", r"\1.attn.layer."),
    (r"(blocks\.\d)\.norm1\.", r"\1.attn.norm."),
    (r"(blocks\.\d)\.norm2\.", r"\1.mlp.norm."),
    (r"^head\.", "head.classifiers.0."),
)


def as_written_by_0_1(path):
    """Its names of parameters and sums, and a configuration without the keys that came later."""
    state = torch.load(path, weights_only=True)
    weights = state["model_state"]
    for new, old in OLD_NAMES:
        weights = {re.sub(new, old, name): tensor for name, tensor in weights.items()}
    assert set(weights) & set(state["model_state"]) <= {
        "backbone.norm.weight",
        "backbone.norm.bias",
    }
    assert list(current_names(weights)) == list(state["model_state"])
    for sums in state["meter"].values():
        sums |= {name: sums.pop(f"{name}_acc") / 100 for name in ("top1", "top5")}
    cfg = re.sub(r"(?m)^(TASK|IMPORT):.*\n", "", state["cfg"])
    torch.save({**state, "model_state": weights, "cfg": cfg}, path)


def test_checkpoint_of_version_0_1_resumes_exactly(settings, tmp_path):
    unbroken = train({**settings, "OUTPUT_DIR": tmp_path / "unbroken"})
    train(settings, TRAIN__CHECKPOINT_STEPS=1, TRAIN__KEEP_CHECKPOINTS=0)
    middle = settings["OUTPUT_DIR"] / "checkpoints/checkpoint_epoch_00000_step_000003.pyth"
    for path in middle.parent.iterdir():
        if path != middle:
            path.unlink()
    as_written_by_0_1(middle)
    resumed = train(settings)
    assert resumed[0] == unbroken[0]
    assert all(torch.equal(resumed[1][name], tensor) for name, tensor in unbroken[1].items())
    epochs = read_stats(settings["OUTPUT_DIR"], "train_epoch")
    assert epochs[-2:] == read_stats(tmp_path / "unbroken", "train_epoch")


def test_evaluation_of_a_model_in_a_notebook(settings):
    """No process group, no signal handlers, no output folder: the metrics of the test command."""
    jobs.train_and_test(config(settings))
    handlers = [signal.getsignal(number) for number in STOP_SIGNALS]
    cfg = config(settings)
    task, videos = build_task(cfg), read_videos(cfg, "test")
    model = load_model(CheckpointStore(settings["OUTPUT_DIR"], 0).find("")).train()
    loader = EvalLoader.from_cfg(cfg, videos, views(options_of(cfg, ViewOptions)), task)
    metrics = task.evaluate(evaluate(model, loader, task))
    assert model.training
    assert metrics == json.loads((settings["OUTPUT_DIR"] / "results/metrics.json").read_text())
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == handlers


def test_finished_run_is_not_trained_again(settings):
    train(settings)
    before = losses(settings)
    train(settings)
    assert losses(settings) == before
    assert len(read_stats(settings["OUTPUT_DIR"], "train_iter")) == 2 * STEPS


SAME_RESULT = {
    "accumulated": {"TRAIN__BATCH_SIZE": 3, "TRAIN__ACCUMULATE": 2},
    "recomputed": {"MODEL__CHECKPOINT_BLOCKS": "[2]"},
    "channels_last": {"TRAIN__CHANNELS_LAST": True},
    "plain optimizer": {"SOLVER__FUSED": False},
    "loose clipping": {"SOLVER__CLIP_GRAD_L2NORM": 1e6},
    "no layer decay": {"SOLVER__LAYER_DECAY": 1.0},
    "plain attention": {"ATTENTION__REFERENCE": True},
    "workers": {"DATA_LOADER__NUM_WORKERS": 1},
}


@pytest.mark.parametrize("name", SAME_RESULT)
def test_options_that_must_not_change_the_result(settings, tmp_path, name):
    """Same final loss within 1e-4 and weights within 1e-4 + 0.1 % of plain fp32 training."""
    plain = train({**settings, "OUTPUT_DIR": tmp_path / "plain"})
    other = train(settings, **SAME_RESULT[name])
    last = [list(run[0].values())[-1][0] for run in (plain, other)]
    if name != "accumulated":
        assert last[0] == pytest.approx(last[1], abs=1e-4)
    for key, tensor in plain[1].items():
        torch.testing.assert_close(other[1][key], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 3e-2), ("fp16", 1e-2)])
def test_lower_precision_stays_near_fp32(settings, tmp_path, precision, tolerance):
    """Mean loss of the run within the tolerance (relative) of fp32's."""
    plain = train({**settings, "OUTPUT_DIR": tmp_path / "plain"})
    other = train(settings, TRAIN__PRECISION=precision, TEST__PRECISION=precision)
    means = [sum(loss for loss, _, _ in run[0].values()) / (2 * STEPS) for run in (plain, other)]
    assert means[0] == pytest.approx(means[1], rel=tolerance)


@pytest.mark.slow
def test_compiled_equals_eager(settings, tmp_path):
    plain = train({**settings, "OUTPUT_DIR": tmp_path / "plain"})
    other = train(settings, TRAIN__COMPILE=True)
    for key, tensor in plain[1].items():
        torch.testing.assert_close(other[1][key], tensor, rtol=1e-3, atol=1e-4)


def test_class_balance_and_weights_train(settings):
    train(
        settings,
        TRAIN__BALANCED_SAMPLING=True,
        TRAIN__CLASS_WEIGHTS="inverse",
        SOLVER__LAYER_DECAY=0.7,
    )
    assert len(losses(settings)) == 2 * STEPS


def test_frozen_weights_stay(settings, tmp_path):
    first = train(
        {**settings, "OUTPUT_DIR": tmp_path / "a"},
        SOLVER__MAX_EPOCH=1,
        TRAIN__FREEZE="['^backbone']",
    )[1]
    train(
        {**settings, "OUTPUT_DIR": tmp_path / "b"},
        SOLVER__MAX_EPOCH=2,
        TRAIN__FREEZE="['^backbone']",
    )
    second = final_weights({**settings, "OUTPUT_DIR": tmp_path / "b"})
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)


def test_checkpoint_of_another_model_is_refused(settings, tmp_path):
    train(settings)
    path = settings["OUTPUT_DIR"] / "checkpoints/checkpoint_epoch_00002.pyth"
    fresh = {**settings, "OUTPUT_DIR": tmp_path / "fresh", "TRAIN.CHECKPOINT_FILE_PATH": path}
    with pytest.raises(CheckpointError, match="another architecture"):
        train(fresh, VIT__EMBED_DIM=16)
    state = torch.load(path, weights_only=True)["model_state"]
    other_classes = {
        key: tensor[:5] if key.startswith("head.") else tensor for key, tensor in state.items()
    }
    torch.save(other_classes, path)
    with pytest.raises(CheckpointError, match="head"):
        train(fresh)
    train(fresh, TRAIN__CHECKPOINT_CHANGED="[head]")


def test_wrong_classes_are_refused_at_the_test(settings):
    train(settings)
    path = settings["OUTPUT_DIR"] / "checkpoints/checkpoint_epoch_00002.pyth"
    state = torch.load(path, weights_only=True)
    state["class_names"][0] = list(reversed(state["class_names"][0]))
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="classes are not those"):
        jobs.train_and_test(config(settings, TRAIN__ENABLE=False))


def broken_video(settings):
    """A file of the set, replaced by rubbish until the caller puts the bytes back."""
    folder = settings["DATA.PATH_TO_DATA_DIR"]
    return sorted(folder.rglob("*val*/**/*.mp4"))[0]


@pytest.mark.parametrize(("policy", "evaluated"), [("wrong", 13), ("skip", 12)])
def test_undecodable_video_is_counted_and_listed(settings, policy, evaluated):
    train(settings)
    video = broken_video(settings)
    good = video.read_bytes()
    video.write_bytes(b"no video" * 100)
    try:
        jobs.train_and_test(config(settings, TRAIN__ENABLE=False, TEST__ON_DECODE_ERROR=policy))
        with pytest.raises(DataError, match=video.name):
            jobs.train_and_test(
                config(settings, TRAIN__ENABLE=False, TEST__ON_DECODE_ERROR="error")
            )
    finally:
        video.write_bytes(good)
    (final,) = read_stats(settings["OUTPUT_DIR"], "test_final")
    assert (final["evaluated"], final["videos"]) == (12, 13)
    table = (settings["OUTPUT_DIR"] / "results/per_class.csv").read_text().splitlines()[1:]
    assert sum(int(row.split(",")[2]) for row in table) == evaluated
    assert video.name in (settings["OUTPUT_DIR"] / "results/unreadable.csv").read_text()


def test_dry_run_prints_the_cost_and_leaves_nothing(settings, capsys):
    jobs.dry_run(config(settings))
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("peak memory", "clips/s", "whole run"))
    assert not settings["OUTPUT_DIR"].exists()


def test_settings_are_all_keys():
    assert config(SETTINGS).MODEL.NUM_CLASSES == 12
