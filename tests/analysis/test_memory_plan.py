"""The planned memory of a training against the bytes that a real one holds."""

import sys
from pathlib import Path

import pytest
import torch
from yacs.config import CfgNode

from slowfast_ext.analysis.cost import saved_for_backward
from slowfast_ext.analysis.memory import (
    clips_per_process,
    count_parameters,
    fake_model,
    plan_memory,
    planned,
    saved_bytes,
)
from slowfast_ext.config import load_config, options_of
from slowfast_ext.engine.optim import SolverOptions, build_optimizer, freeze, training_mode
from slowfast_ext.engine.precision import autocast
from slowfast_ext.engine.step import WeightAverage
from slowfast_ext.models import build_model
from slowfast_ext.models.attention import ATTENTION
from slowfast_ext.models.backbones.vit_positions import POSITIONS

sys.path.append(str(Path(__file__).parents[1] / "engine"))
from tiny_run import SETTINGS, pairs_of

CPU = torch.device("cpu")
MODELS = {
    "vit": {},
    "uniformer": {
        "MODEL.BACKBONE": "uniformer", "UNIFORMER.EMBED_DIM": "[8, 16, 16, 32]",
        "UNIFORMER.DEPTH": "[1, 2, 2, 1]", "UNIFORMER.HEAD_DIM": 8,
    },
    "recomputed": {"MODEL.CHECKPOINT_BLOCKS": "[2]"},
    "every second": {"MODEL.CHECKPOINT_BLOCKS": "[2]", "MODEL.CHECKPOINT_EVERY": 2},
    "frozen, sgd": {"TRAIN.FREEZE": "['blocks.0']", "SOLVER.OPTIMIZING_METHOD": "sgd"},
    "frozen statistics": {
        "MODEL.BACKBONE": "uniformer", "UNIFORMER.EMBED_DIM": "[8, 16, 16, 32]",
        "UNIFORMER.DEPTH": "[1, 2, 2, 1]", "UNIFORMER.HEAD_DIM": 8, "TRAIN.FREEZE": "['stages.1']",
    },
    "bf16": {"TRAIN.PRECISION": "bf16"},
}  # fmt: skip


def config(changes) -> CfgNode:
    return load_config([], pairs_of(changes))


@pytest.mark.parametrize("name", MODELS)
def test_plan_is_what_a_training_holds(name):
    cfg = config(MODELS[name])
    clips = clips_per_process(cfg, 1)
    fake = fake_model(cfg, CPU)
    solver = options_of(cfg, SolverOptions)
    plan = plan_memory(count_parameters(fake), saved_bytes(cfg, fake, CPU, clips), solver, True)

    model = build_model(cfg)
    freeze(model, cfg.TRAIN.FREEZE)
    training_mode(model)
    average, optimizer = WeightAverage(model, 0.9), build_optimizer(solver, model)
    clip = torch.randn(clips, 3, cfg.DATA.NUM_FRAMES, 32, 32)
    with autocast(CPU, cfg.TRAIN.PRECISION):
        assert plan.activations == saved_for_backward(model, clip)
        model(clip).sum().backward()
    held = [p.grad.nbytes for p in model.parameters() if p.grad is not None]
    optimizer.step()
    moments = [
        value.nbytes
        for own in optimizer.state.values()
        for key, value in own.items()
        if isinstance(value, torch.Tensor) and value.ndim
    ]
    assert plan.weights == sum(p.nbytes for p in model.parameters())
    assert plan.gradients == sum(held)
    assert plan.optimizer == sum(moments)
    assert plan.average == sum(p.nbytes for p in average.model.parameters())


def test_a_part_of_everything_but_two_blocks_and_the_rest():
    cfg = config({})
    parameters = count_parameters(fake_model(cfg, CPU))
    blocks = [sum(p.nbytes for p in b.parameters()) for b in build_model(cfg).backbone.blocks]
    assert parameters.gathered == parameters.all - sum(blocks) + 2 * max(blocks)
    plans = [plan_memory(parameters, 7, SolverOptions(), True, parts) for parts in (1, 4)]
    assert plans[1].weights == parameters.all // 4 + parameters.gathered
    for part in ("gradients", "optimizer", "average"):
        assert getattr(plans[1], part) == getattr(plans[0], part) // 4
    assert plans[1].activations == 7


@pytest.mark.parametrize(
    ("changes", "depth"),
    [({}, 2), (MODELS["uniformer"], 6), ({"VIT.POOL": "probe", "VIT.POOL_DEPTH": 1}, 2)],
)
def test_all_blocks_are_those_of_the_trunk(changes, depth):
    lines = list(planned(config({**SETTINGS, **changes}), CPU, 1))
    assert [line.split("[")[1].split("]")[0] for line in lines[2:]] == [
        "0",
        "0",
        str(depth),
        str(depth),
    ]
    assert "fsdp on 8" in lines[3]


def test_large_models_are_planned_in_little_memory():
    """One ViT-g, of a billion parameters."""
    wide = {"VIT.EMBED_DIM": 1408, "VIT.DEPTH": 40, "VIT.NUM_HEADS": 16, "TRAIN.BATCH_SIZE": 8}
    lines = list(planned(config({**SETTINGS, **wide}), CPU, 8))
    assert "1 clips in fp32" in lines[0]
    none, fsdp = (line.split() for line in lines[2:4])
    weights = float(none[2])
    assert weights == pytest.approx(40 * 12 * 1408**2 * 4 / 2**30, rel=0.01)
    assert float(none[4]) == pytest.approx(2 * weights, abs=0.01)
    assert float(fsdp[5]) == pytest.approx(weights / 8, abs=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        *({"VIT.POS_EMBED": name} for name in POSITIONS),
        *({"ATTENTION.CYCLE": [name]} for name, _ in ATTENTION),
        {"ATTENTION.CYCLE": ["trajectory"], "ATTENTION.KERNEL": "orthoformer"},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())),
)
def test_a_plan_leaves_no_stand_ins_behind(changes):
    """Tables that a model keeps between calls are those of real tensors, whoever asked first."""
    cfg = config(changes)
    fake = fake_model(cfg, CPU).eval()
    saved_bytes(cfg, fake, CPU, 1)
    clip = torch.zeros(1, 3, cfg.DATA.NUM_FRAMES, 32, 32)
    with torch.no_grad():
        assert type(build_model(cfg).eval()(clip)) is torch.Tensor
