"""Rates and decay as the recipes of public models mean them, against their rules written out."""

import re
from dataclasses import replace

import pytest

from slowfast_ext.config import load_config, options_of
from slowfast_ext.engine.optim import SolverOptions, parameter_groups
from slowfast_ext.engine.run import Recipe
from slowfast_ext.models import build_model

DEPTH = 3
TINY = ["VIT.EMBED_DIM", "32", "VIT.DEPTH", str(DEPTH), "VIT.NUM_HEADS", "2", "MODEL.NUM_CLASSES", "5",
        "DATA.TRAIN_CROP_SIZE", "32", "DATA.TEST_CROP_SIZE", "32", "DATA.NUM_FRAMES", "4"]  # fmt: skip


def model_of(*pairs):
    cfg = load_config([], [*TINY, *pairs])
    return build_model(cfg), options_of(cfg, SolverOptions)


def groups_by_name(model, solver):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: group
        for group in parameter_groups(solver, model)
        for parameter in group["params"]
    }


def beit_layer(name):
    """BEiT's rule, and that of all programs that took it over: embedding 0, blocks 1.., the rest of them depth + 1."""
    if re.match(r"(cls_token|pos_embed|temp_embed|patch_embed)", name):
        return 0
    block = re.match(r"blocks\.(\d+)\.", name)
    return int(block[1]) + 1 if block else DEPTH + 1


@pytest.mark.parametrize("pool", ["mean_norm", "attention", "probe", "cls"])
def test_layer_decay_from_the_norm(pool):
    model, solver = model_of(
        "SOLVER.LAYER_DECAY", "0.75", "SOLVER.LAYER_DECAY_FROM", "norm", "VIT.POOL", pool
    )
    for name, group in groups_by_name(model, solver).items():
        expected = 0.75 ** (DEPTH + 1 - beit_layer(name.removeprefix("backbone.")))
        assert group["lr_scale"] == pytest.approx(expected), name
    ours = groups_by_name(model, replace(solver, layer_decay_from="head"))
    for name, group in groups_by_name(model, solver).items():
        power = 0.75 if name.startswith("backbone.") else 1
        assert ours[name]["lr_scale"] == pytest.approx(group["lr_scale"] * power), name


def test_positions_do_not_decay_where_asked_for():
    model, solver = model_of("SOLVER.ZERO_WD_POSITIONS", "True")
    spared = {
        name for name, group in groups_by_name(model, solver).items() if not group["weight_decay"]
    }
    spared -= {name for name, parameter in model.named_parameters() if parameter.ndim == 1}
    assert spared == {"backbone.cls_token", "backbone.pos_embed", "backbone.temp_embed"}


@pytest.mark.parametrize(("unit", "batch"), [("clips", 64), ("videos", 32)])
def test_what_a_batch_counts(unit, batch):
    pairs = ["SOLVER.BASE_LR_BATCH", "256", "SOLVER.BASE_LR", "1.0", "SOLVER.BASE_LR_UNIT", unit,
             "TRAIN.BATCH_SIZE", "16", "TRAIN.ACCUMULATE", "2", "AUG.NUM_SAMPLE", "2"]  # fmt: skip
    recipe = Recipe.from_cfg(load_config([], [*TINY, *pairs]))
    assert recipe.effective_batch == 64
    assert recipe.learning_rate(0.0) == pytest.approx(batch / 256)


def test_the_head_starts_small():
    model, _ = model_of("MODEL.HEAD_INIT_SCALE", "0.001")
    assert 0 < model.head.weight.abs().max() < 1e-4
