"""Two processes that each hold a part of the model compute what two that hold all of it compute."""

import pytest
import torch
from pairs import train_in_pair
from tiny_run import SETTINGS, config, final_weights, losses, train

from slowfast_ext import load_model
from slowfast_ext.engine.checkpoint import CheckpointStore, read_checkpoint
from slowfast_ext.engine.checks import check_run
from slowfast_ext.engine.log import read_stats
from slowfast_ext.engine.sharding import blocks_of
from slowfast_ext.models import build_model

EVERYTHING = {
    "MODEL.BACKBONE": "uniformer", "UNIFORMER.EMBED_DIM": "[8, 16, 16, 32]", "UNIFORMER.DEPTH": "[1, 1, 1, 1]",
    "UNIFORMER.HEAD_DIM": 8, "MODEL.DROP_PATH": 0.2, "MODEL.CHECKPOINT_BLOCKS": "[0, 0, 1, 1]",
    "SOLVER.MAX_EPOCH": 2, "TRAIN.BATCH_SIZE": 4, "TRAIN.ACCUMULATE": 2, "TRAIN.PRECISION": "fp16",
    "SOLVER.CLIP_GRAD_L2NORM": 0.5, "SOLVER.LAYER_DECAY": 0.7, "TRAIN.EMA_DECAY": 0.9,
    "TRAIN.FREEZE": "['stages.1.0.mlp']", "TRAIN.CHECKPOINT_STEPS": 2, "TRAIN.KEEP_CHECKPOINTS": 0,
    "TEST.ENABLE": False,
}  # fmt: skip
"""What touches gradients, weights or statistics, in one run; two clips a process, as the last batch norm makes
a single one the same whatever the weights are."""
HALF_WAY = "checkpoints/checkpoint_epoch_00000_step_000002.pyth"


@pytest.fixture(scope="module")
def runs(clips, tmp_path_factory):
    """Settings of each training, after it: "none" and "fsdp" with everything that touches gradients, and resumed."""
    folder = tmp_path_factory.mktemp("pairs")

    def settings(name, sharding, changes):
        own = {"DATA.PATH_TO_DATA_DIR": clips, "OUTPUT_DIR": folder / name}
        return {**SETTINGS, **changes, **own, "TRAIN.SHARDING": sharding}

    sharding = {"none": "none", "fsdp": "fsdp", "resumed": "fsdp", "crossed": "fsdp"}
    made = {name: settings(name, kind, EVERYTHING) for name, kind in sharding.items()}
    starts = {"resumed": folder / "fsdp" / HALF_WAY, "crossed": folder / "none" / HALF_WAY}
    failures = train_in_pair(made, starts)
    assert not failures, "\n".join(failures.values())
    return made


def same_run(one, other, exact=False):
    """The losses that both have, and all that the last checkpoints hold of weights."""
    theirs, tolerance = losses(one), {"rel": 0, "abs": 0} if exact else {"rel": 1e-4}
    ours = losses(other)
    assert ours
    for step, (loss, *_) in ours.items():
        assert loss == pytest.approx(theirs[step][0], **tolerance)
    states = [read_checkpoint(CheckpointStore(s["OUTPUT_DIR"], 0).find("")) for s in (one, other)]
    for part in ("model_state", "ema_state"):
        if states[0][part] is None:
            continue
        for name, tensor in states[0][part].items():
            difference = 0.0 if exact else 2e-3
            torch.testing.assert_close(
                states[1][part][name], tensor, rtol=difference, atol=difference
            )


def test_sharded_equals_whole(runs):
    same_run(runs["none"], runs["fsdp"])


def test_sharded_run_resumes_exactly(runs):
    assert len(losses(runs["resumed"])) == len(losses(runs["fsdp"])) - 2
    same_run(runs["fsdp"], runs["resumed"], exact=True)


def test_run_goes_on_sharded_from_a_checkpoint_of_one_that_was_not(runs):
    same_run(runs["none"], runs["crossed"])


def test_validation_is_the_same(runs):
    """It is one of the average, whose batch statistics are the first process's."""
    validations = [
        read_stats(runs[kind]["OUTPUT_DIR"], "val_epoch") for kind in ("none", "fsdp", "resumed")
    ]
    assert validations[0] == validations[1] == validations[2] != []


def test_checkpoint_of_a_sharded_run_is_a_plain_one(runs):
    settings = runs["fsdp"]
    path = CheckpointStore(settings["OUTPUT_DIR"], 0).find("")
    state = read_checkpoint(path)
    model = build_model(config(settings))
    assert [*state["model_state"]] == [*model.state_dict()]
    for name, tensor in model.state_dict().items():
        assert type(state["model_state"][name]) is torch.Tensor
        assert state["model_state"][name].shape == tensor.shape
    clip = torch.randn(1, 3, 4, 32, 32)
    assert load_model(path)(clip).shape == (1, 12)


def test_one_process_goes_on_with_the_checkpoint_of_a_sharded_run(runs, tmp_path):
    settings = {**runs["fsdp"], "OUTPUT_DIR": tmp_path / "alone"}
    target = tmp_path / "alone" / HALF_WAY
    target.parent.mkdir(parents=True)
    target.write_bytes((runs["fsdp"]["OUTPUT_DIR"] / HALF_WAY).read_bytes())
    alone, _ = train(settings)
    both = losses(runs["fsdp"])
    assert len(alone) == len(both) - 2
    assert all(loss == pytest.approx(both[step][0], rel=0.05) for step, (loss, *_) in alone.items())
    assert final_weights(settings).keys() == final_weights(runs["fsdp"]).keys()


def test_blocks_are_the_members_of_the_outermost_lists():
    vit, uniformer = (build_model(config({**SETTINGS, **own})) for own in ({}, EVERYTHING))
    assert list(blocks_of(vit)) == list(vit.backbone.blocks)
    kinds = [type(block).__name__ for block in blocks_of(uniformer)]
    assert kinds == ["PatchEmbed"] * 4 + ["ConvBlock"] * 2 + ["AttentionBlock"] * 2


def test_what_torch_cannot_shard_is_a_named_mistake():
    cfg = config(SETTINGS)
    cfg.defrost()
    cfg.TRAIN.SHARDING, cfg.SOLVER.OPTIMIZING_METHOD = "fsdp", "sgd"
    assert [problem.key for problem in check_run(cfg)] == ["SOLVER.FUSED"]
    cfg.SOLVER.FUSED = False
    assert not list(check_run(cfg))
