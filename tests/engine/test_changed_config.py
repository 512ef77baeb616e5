"""A run that goes on with another configuration: what is taken over is in effect, what cannot be is named."""

import json
import shutil

import pytest
import torch
from tiny_run import SETTINGS, config, losses, train

from slowfast_ext.cli import jobs
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.engine.log import read_stats
from slowfast_ext.errors import CheckpointError

STEPS = 4


def checkpoint(settings):
    return read_checkpoint(CheckpointStore(settings["OUTPUT_DIR"], 0).find(""))


def groups(settings):
    return checkpoint(settings)["optimizer_state"]["param_groups"]


@pytest.fixture(scope="module")
def stopped(clips, tmp_path_factory):
    """The folder of a run that stands after two of four steps of the second epoch."""
    folder = tmp_path_factory.mktemp("stopped") / "out"
    own = {**SETTINGS, "DATA.PATH_TO_DATA_DIR": clips, "OUTPUT_DIR": folder}
    train(own, TRAIN__CHECKPOINT_STEPS=2, TRAIN__KEEP_CHECKPOINTS=0)
    for path in (folder / "checkpoints").iterdir():
        if path.name != "checkpoint_epoch_00001_step_000002.pyth":
            path.unlink()
    (folder / "stats.jsonl").unlink()
    return folder


@pytest.fixture
def in_epoch_2(settings, stopped):
    """A run of its own that stands there."""
    shutil.copytree(stopped, settings["OUTPUT_DIR"])
    return settings


TAKEN_OVER = {
    "rate": {"SOLVER__BASE_LR": 0.01},
    "schedule": {"SOLVER__LR_POLICY": "linear", "SOLVER__WARMUP_EPOCHS": 0.5},
    "betas": {"SOLVER__BETAS": "[0.8, 0.9]"},
    "clipping": {"SOLVER__CLIP_GRAD_L2NORM": 1.0},
    "no decay": {"SOLVER__WEIGHT_DECAY": 0.0},
    "decay of all": {"SOLVER__ZERO_WD_1D_PARAM": False},
    "layer decay": {"SOLVER__LAYER_DECAY": 0.5},
    "plain optimizer": {"SOLVER__FUSED": False},
    "augmentation": {"AUG__AA_TYPE": "rand-m7-n2-mstd0.5-inc1", "MIXUP__ENABLE": True},
    "workers": {"DATA_LOADER__NUM_WORKERS": 1},
    "bf16": {"TRAIN__PRECISION": "bf16"},
    "fp16": {"TRAIN__PRECISION": "fp16"},
    "average": {"TRAIN__EMA_DECAY": 0.9},
    "drop path": {"MODEL__DROP_PATH": 0.2},
    "seed": {"RNG_SEED": 5},
    "longer": {"SOLVER__MAX_EPOCH": 3},
}


@pytest.mark.parametrize("name", TAKEN_OVER)
def test_taken_over(in_epoch_2, name):
    changes = TAKEN_OVER[name]
    train(in_epoch_2, **changes)
    epochs = changes.get("SOLVER__MAX_EPOCH", 2)
    assert list(losses(in_epoch_2))[:2] == [
        (f"2/{epochs}", "3/4"),
        (f"2/{epochs}", "4/4"),
    ]
    log = (in_epoch_2["OUTPUT_DIR"] / "stdout.log").read_text()
    for key in changes:
        assert f"changed since the checkpoint: {key.replace('__', '.')}" in log


def test_what_is_logged_as_changed_is_in_effect(in_epoch_2):
    train(in_epoch_2, SOLVER__WEIGHT_DECAY=0.5, SOLVER__LAYER_DECAY=0.5, SOLVER__BETAS="[0.8, 0.9]")
    found = groups(in_epoch_2)
    assert {group["weight_decay"] for group in found} == {0.0, 0.5}
    assert {group["betas"] for group in found} == {(0.8, 0.9)}
    assert len({group["lr_scale"] for group in found}) > 2


def test_moments_stay_with_their_parameters(in_epoch_2, tmp_path):
    """Groups that are made anew in another order change nothing but what was changed: here no step is taken at all."""
    before = checkpoint(in_epoch_2)
    train(in_epoch_2, SOLVER__LAYER_DECAY=0.5, SOLVER__BASE_LR=0.0, SOLVER__WEIGHT_DECAY=0.0)
    after = checkpoint(in_epoch_2)
    assert before["optimizer_names"] != after["optimizer_names"]
    for name, tensor in before["model_state"].items():
        assert torch.equal(tensor, after["model_state"][name])
    old, new = (
        dict(zip(state["optimizer_names"], state["optimizer_state"]["state"].values(), strict=True))
        for state in (before, after)
    )
    for name, moments in new.items():
        assert moments["step"] == old[name]["step"] + 2
        similar = torch.cosine_similarity(
            moments["exp_avg_sq"].flatten(), old[name]["exp_avg_sq"].flatten(), dim=0
        )
        assert similar > 0.9, name


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"TRAIN__BATCH_SIZE": 3}, "5/8"),
        ({"TRAIN__BATCH_SIZE": 12}, "2/2"),
        ({"TRAIN__ACCUMULATE": 2}, "2/2"),
        ({"TRAIN__BATCH_SIZE": 3, "TRAIN__ACCUMULATE": 2}, "3/4"),
    ],
)
def test_another_batch_goes_on_after_the_same_videos(in_epoch_2, changes, first):
    train(in_epoch_2, **changes)
    assert next(iter(losses(in_epoch_2))) == ("2/2", first)


NAMED = {
    "optimizer": {"SOLVER__OPTIMIZING_METHOD": "sgd"},
    "frozen": {"TRAIN__FREEZE": "['^backbone.blocks.0']"},
    "depth": {"VIT__DEPTH": 3},
    "width": {"VIT__EMBED_DIM": 16},
    "patches": {"VIT__PATCH_SIZE": "[2, 16, 16]"},
    "attention": {"ATTENTION__CYCLE": "[trajectory]"},
}


@pytest.mark.parametrize("name", NAMED)
def test_named_with_the_way_out(in_epoch_2, name):
    before = checkpoint(in_epoch_2)
    (key,) = NAMED[name]
    with pytest.raises(CheckpointError, match="cannot be resumed") as error:
        train(in_epoch_2, **NAMED[name])
    assert all(
        word in str(error.value)
        for word in (key.replace("__", "."), "OUTPUT_DIR", "TRAIN.CHECKPOINT_FILE_PATH")
    )
    assert torch.equal(
        before["model_state"]["head.weight"], checkpoint(in_epoch_2)["model_state"]["head.weight"]
    )


def test_fewer_epochs_than_are_done(settings):
    jobs.train_and_test(config(settings))
    out = settings["OUTPUT_DIR"]
    metrics, lines = (out / "results/metrics.json").read_bytes(), len(read_stats(out))
    with pytest.raises(CheckpointError, match=r"2 epochs .* more than SOLVER.MAX_EPOCH = 1"):
        jobs.train_and_test(config(settings, SOLVER__MAX_EPOCH=1))
    assert (out / "results/metrics.json").read_bytes() == metrics
    assert len(read_stats(out)) == lines


def test_a_new_run_in_an_old_folder_is_never_resumed_from_the_old_one(settings):
    out = settings["OUTPUT_DIR"]
    jobs.train_and_test(config(settings, TENSORBOARD__ENABLE=True))
    before = read_stats(out)
    (out / "wandb_run.txt").write_text("old")
    events = {path.name for path in (out / "tensorboard").iterdir()}
    jobs.train_and_test(
        config(
            settings, SOLVER__MAX_EPOCH=1, TRAIN__AUTO_RESUME=False, TEST__ENABLE=False, TENSORBOARD__ENABLE=True
        )
    )  # fmt: skip
    assert {path.name for path in (out / "tensorboard_before_1").iterdir()} == events
    assert events.isdisjoint(path.name for path in (out / "tensorboard").iterdir())
    assert (out / "wandb_run_before_1.txt").read_text() == "old"
    assert (out / "results_before_1/metrics.json").exists()
    assert not (out / "results").exists()
    aside = out / "checkpoints_before_1"
    assert (aside / "checkpoint_epoch_00002.pyth").exists()
    assert checkpoint(settings)["position"] == {"epoch": 1, "step": 0}
    own = read_stats(settings["OUTPUT_DIR"])
    assert {line["epoch"] for line in own} == {"1/1"}
    moved = settings["OUTPUT_DIR"] / "stats_before_1.jsonl"
    assert [json.loads(line) for line in moved.read_text().splitlines()] == before
