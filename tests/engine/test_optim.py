import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from slowfast_ext.config import load_config, options_of
from slowfast_ext.engine.optim import (
    SolverOptions,
    build_optimizer,
    check_solver,
    freeze,
    learning_rate,
    parameter_groups,
    training_mode,
)
from slowfast_ext.models import build_model

TINY = ["VIT.EMBED_DIM", "32", "VIT.DEPTH", "3", "VIT.NUM_HEADS", "2", "MODEL.NUM_CLASSES", "5",
        "DATA.TRAIN_CROP_SIZE", "32", "DATA.TEST_CROP_SIZE", "32", "DATA.NUM_FRAMES", "4"]  # fmt: skip


def cfg_of(*pairs):
    return load_config([], [*TINY, *pairs])


def solver_of(cfg):
    return options_of(cfg, SolverOptions)


def test_published_learning_rates(golden_dir):
    for case in json.loads((golden_dir / "sampling_lr_misc.json").read_text())["lr"]:
        pairs = {
            "BASE_LR": case["base_lr"], "COSINE_END_LR": case["end_lr"], "MAX_EPOCH": case["max_epoch"],
            "WARMUP_START_LR": case["warmup_start_lr"], "WARMUP_EPOCHS": case["warmup_epochs"],
        }  # fmt: skip
        cfg = cfg_of(
            *(text for key, value in pairs.items() for text in (f"SOLVER.{key}", repr(value)))
        )
        for epoch, rate in case["points"]:
            assert learning_rate(solver_of(cfg), epoch, 64) == pytest.approx(rate, rel=1e-9)


def test_warmup_meets_the_cosine():
    cfg = cfg_of("SOLVER.BASE_LR", "1.0", "SOLVER.WARMUP_EPOCHS", "2.0", "SOLVER.MAX_EPOCH", "10")
    rates = [learning_rate(solver_of(cfg), epoch, 64) for epoch in (0.0, 1.0, 2.0, 6.0, 10.0)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])


def test_steps_policy_and_scaling():
    cfg = cfg_of("SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", "[0, 20, 30]",
                 "SOLVER.LRS", "[1, 0.1, 0.01]", "SOLVER.BASE_LR", "2.0", "SOLVER.BASE_LR_BATCH", "32")  # fmt: skip
    assert [learning_rate(solver_of(cfg), e, 64) for e in (0, 19.9, 20, 35)] == pytest.approx(
        [4, 4, 0.4, 0.04]
    )


def test_one_dimensional_parameters_do_not_decay():
    cfg = cfg_of()
    model = build_model(cfg)
    groups = parameter_groups(solver_of(cfg), model)
    assert {g["weight_decay"] for g in groups} == {0.0, 0.05}
    for group in groups:
        assert all((p.ndim <= 1) == (group["weight_decay"] == 0.0) for p in group["params"])
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_layer_decay_falls_with_depth():
    cfg = cfg_of("SOLVER.LAYER_DECAY", "0.5")
    model = build_model(cfg)
    factor = {
        id(p): g["lr_scale"] for g in parameter_groups(solver_of(cfg), model) for p in g["params"]
    }
    named = dict(model.named_parameters())
    head = factor[id(named["head.weight"])]
    first, last = (
        {factor[id(p)] for n, p in named.items() if n.startswith(f"backbone.blocks.{i}.")}
        for i in (0, 2)
    )
    assert head == 1.0
    assert first == {last.copy().pop() * 0.25}


def test_frozen_parameters_are_in_no_group():
    cfg = cfg_of("TRAIN.FREEZE", "['backbone']")
    model = build_model(cfg)
    freeze(model, cfg.TRAIN.FREEZE)
    trained = [p for g in parameter_groups(solver_of(cfg), model) for p in g["params"]]
    assert {p.shape for p in trained} == {p.shape for p in model.head.parameters()}


def test_schedules_that_do_not_fit_are_reported():
    cfg = cfg_of("SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", "[3, 2]", "SOLVER.LRS", "[1.0]",
                 "SOLVER.WARMUP_EPOCHS", "200.0", "TRAIN.FREEZE", "['(']")  # fmt: skip
    keys = {problem.key for problem in check_solver(cfg)}
    assert keys == {"SOLVER.LRS", "SOLVER.STEPS", "SOLVER.WARMUP_EPOCHS", "TRAIN.FREEZE"}


@pytest.mark.parametrize("method", ["adamw", "sgd"])
def test_fused_equals_plain(method):
    results = []
    for fused in ("True", "False"):
        cfg = cfg_of(
            "SOLVER.OPTIMIZING_METHOD", method, "SOLVER.FUSED", fused, "SOLVER.BASE_LR", "0.01"
        )
        torch.manual_seed(0)
        model = build_model(cfg)
        optimizer = build_optimizer(solver_of(cfg), model)
        generator = torch.Generator().manual_seed(1)
        for _ in range(3):
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
        results.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


def test_frozen_batch_norms_keep_their_statistics():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    freeze(model, [r"^0\."])
    training_mode(model)
    model(torch.randn(8, 3) + 5)
    assert not model[0].running_mean.any()
    assert model[1].running_mean.all()
    assert model[2].training


@pytest.mark.parametrize(
    ("nodes_count", "batch", "ends_follow", "factors"),
    [
        (False, 0, False, (1, 1)),
        (True, 0, False, (4, 4)),
        (False, 32, False, (2, 1)),
        (False, 32, True, (2, 2)),
        (True, 32, False, (8, 4)),
        (True, 32, True, (8, 8)),
    ],
)
def test_what_scales_the_base_rate_and_what_the_ends(nodes_count, batch, ends_follow, factors):
    """On 4 nodes with a batch of 64; the ends are the first and the last rate."""
    solver = SolverOptions(
        base_lr=0.1,
        warmup_start_lr=0.01,
        cosine_end_lr=0.02,
        warmup_epochs=2.0,
        max_epoch=10,
        base_lr_scale_num_shards=nodes_count,
        base_lr_batch=batch,
        base_lr_batch_ends=ends_follow,
    )
    base, ends = factors
    rates = [learning_rate(solver, epoch, 64, nodes=4) for epoch in (0, 1, 2, 10)]
    first = 0.01 * ends
    assert rates == pytest.approx([first, (first + 0.1 * base) / 2, 0.1 * base, 0.02 * ends])


def test_the_ends_stay_below_the_base_rate():
    solver = SolverOptions(
        base_lr=0.1, warmup_start_lr=0.05, cosine_end_lr=0.05, warmup_epochs=1.0, max_epoch=10,
        base_lr_batch=256,
    )  # fmt: skip
    rates = [learning_rate(solver, epoch, 64) for epoch in (0, 0.5, 1, 5, 10)]
    assert rates == pytest.approx([0.025] * 5)


def test_the_cosine_and_the_line_under_and_after_the_warmup():
    """At the end of a warm-up of 2 of 10 epochs the cosine has fallen to (1 + cos(pi / 5)) / 2, the line to 4 / 5."""
    common = {"base_lr": 1.0, "warmup_epochs": 2.0, "max_epoch": 10, "cosine_end_lr": 0.2}
    falls = {"cosine": (1 + math.cos(math.pi / 5)) / 2, "linear": 0.8}
    for policy, left in falls.items():
        under = SolverOptions(lr_policy=policy, cosine_after_warmup=False, **common)
        assert learning_rate(under, 2) == pytest.approx(0.2 + 0.8 * left)
        assert learning_rate(under, 1) == pytest.approx((0.2 + 0.8 * left) / 2)
        after = SolverOptions(lr_policy=policy, **common)
        assert [learning_rate(after, e) for e in (2, 6, 10)] == pytest.approx([1.0, 0.6, 0.2])
    line = SolverOptions(lr_policy="linear", **common)
    assert learning_rate(line, 4) == pytest.approx(0.8)


def test_the_rate_of_a_step_begins_with_its_epoch():
    solver = SolverOptions(
        lr_policy="steps_with_relative_lrs", steps=(0, 3), lrs=(1.0, 0.5), base_lr=2.0
    )
    assert [learning_rate(solver, e) for e in (0, 2.99, 3, 50)] == [2.0, 2.0, 1.0, 1.0]
    assert learning_rate(replace(solver, steps=(1, 3)), 0) == 2.0


@pytest.mark.parametrize(
    ("pairs", "key"),
    [
        (["SOLVER.WARMUP_EPOCHS", "10.0"], "WARMUP_EPOCHS"),
        (["SOLVER.WARMUP_EPOCHS", "9.9"], None),
        (["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", "[0, 2]"], "LRS"),
        (["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", "[1]"], "STEPS"),
        (["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", "[0]"], None),
    ],
)
def test_schedules_that_do_not_fit(pairs, key):
    found = [problem.key for problem in check_solver(cfg_of("SOLVER.MAX_EPOCH", "10", *pairs))]
    assert found == ([f"SOLVER.{key}"] if key else [])
